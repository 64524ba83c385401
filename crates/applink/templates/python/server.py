import os

import heroku_applink as sdk
import uvicorn

from app import app

if __name__ == "__main__":
    middleware = sdk.IntegrationAsgiMiddleware(app, config=sdk.Config.default())
    uvicorn.run(middleware, host="127.0.0.1", port=int(os.environ.get("APP_PORT", "3000")))
