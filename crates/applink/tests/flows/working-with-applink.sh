# The commands of Heroku's "Working with Heroku AppLink", with `applink` in place of `heroku`, against a local stack.
# What Heroku's own CLI does there (creating apps and add-ons) is done already.
set -eu
as() { printf '%s %s' "$1" "$2" > who; }

as production admin
applink salesforce:connect production-org -a "$APP"
applink applink:connections -a "$APP"
applink applink:connections:info production_org -a "$APP"
applink connections:wait production-org --timeout 5

as production integration
applink salesforce:authorizations:add auth-user -a "$APP"
applink applink:authorizations -a "$APP"
applink applink:authorizations:info auth_user -a "$APP"
applink authorizations:test auth-user
applink authorizations:refresh auth-user

applink spec:check "$SPEC"
applink salesforce:publish "$SPEC" --client-name HerokuAPI \
  --authorization-external-client-app-name MyAppLinkClientApp \
  --authorization-permission-set-name MyAppLinkPermSet \
  --connection-name production-org -a "$APP"
applink salesforce:publications -a "$APP"
applink publish "$SPEC" --client-name HerokuAPI --connection-name production-org --diff
applink unpublish HerokuAPI --connection-name production-org --confirm HerokuAPI

applink salesforce:authorizations:remove auth-user -a "$APP" --confirm auth-user
applink salesforce:disconnect production-org -a "$APP" --confirm production_org
