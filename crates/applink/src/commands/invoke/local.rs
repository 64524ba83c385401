//! `invoke /path`: calls an app on this machine as an org would, with the header the mesh would leave on the call.
//!
//! 1. The service hands out the token of a stored user, as it would to the app.
//! 2. It goes into `x-client-context`, with org and user.
//! 3. The app is called without a mesh between. Nothing but this machine is ever sent such a token.

use applink_api::context::{ClientContext, UserContext};
use applink_api::entropy::Entropy;
use applink_api::headers;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::{Args, body};
use crate::commands::authorizations::unknown;
use crate::error::{CliError, ExitStatus};
use crate::org_access::Access;
use crate::poll::{self, Waited};
use crate::printer::{Printer, printable};
use crate::settings::{Settings, is_this_machine};

pub(super) async fn run(args: &Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let url = address(args)?;
    let body = body(args.body.as_deref(), printer).await?;
    let method = method(args, body.is_some())?;
    let name = args.authorization.as_deref().unwrap_or_default();
    let addon = settings.addon(&args.addon).await?;
    let authorization = match addon.app_client(printer)?.authorizations().get(name).await {
        Err(error) if error.is_not_found() => return Err(unknown(name, &addon)),
        other => other.map_err(|error| addon.explain(error))?,
    };
    let access = Access::of(authorization)?;

    let progress = printer.start(format!("Calling {method} {url} as {}...", printable(&access.username)));
    let answer = match poll::interruptible(send(&url, method, body.as_ref(), access)).await {
        Waited::Done(answer) => answer?,
        Waited::Interrupted => {
            return Err(CliError::interrupted("stopped waiting; the app may still be working on the call"));
        }
    };
    progress.finish(&answer.status.to_string());
    answer.show(args.output.json, printer)?;
    if answer.status < 400 {
        return Ok(ExitStatus::Success);
    }
    Err(CliError::refused(format!("the app answered {}", answer.status)))
}

/// What the app said.
struct Answer {
    status: u16,
    request_id: String,
    body: Value,
}

impl Answer {
    fn show(&self, json: bool, printer: Printer) -> Result<(), CliError> {
        match &self.body {
            body if json => {
                printer.json(&json!({"status": self.status, "request_id": self.request_id, "body": body}))
            }
            Value::Null => Ok(()),
            Value::String(text) => printer.data(text),
            other => printer.json(other),
        }
    }
}

async fn send(url: &Url, method: Method, body: Option<&Value>, access: Access) -> Result<Answer, CliError> {
    let request_id = format!("{}-{}", access.org_id, Entropy::system().uuid());
    let context = ClientContext {
        request_id: request_id.clone(),
        access_token: access.token,
        api_version: access.api_version,
        namespace: String::new(),
        org_id: access.org_id,
        org_domain_url: access.instance_url,
        user_context: UserContext { user_id: access.user_id, username: access.username },
    };
    let unsendable = || CliError::broken("the context can't be sent in a header");
    let context = context.encode().map_err(|error| unsendable().because(error))?;
    let mut context = HeaderValue::from_str(&context).map_err(|error| unsendable().because(error))?;
    context.set_sensitive(true);
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tls_certs_only(std::iter::empty())
        .build()
        .map_err(|error| CliError::broken("no HTTP client can be made").because(error))?;
    let mut request = client
        .request(method, url.clone())
        .header(headers::CLIENT_CONTEXT, context)
        .header(headers::REQUEST_ID, &request_id);
    if let Some(body) = body {
        request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
    }
    let unreachable = |error: reqwest::Error| {
        CliError::broken(format!("the app at {} can't be reached", url.authority()))
            .because(error.without_url())
            .hint("is it running, and is --app-url its address?")
    };
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
    let text = response.text().await.map_err(unreachable)?;
    let body = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_text| Value::String(text.to_owned())),
    };
    Ok(Answer { status, request_id, body })
}

fn address(args: &Args) -> Result<Url, CliError> {
    let refused = |text: &str| {
        CliError::refused(format!(
            "{text} is not an address of this machine, and a user's token goes nowhere else"
        ))
        .hint("give --app-url such as http://127.0.0.1:3000")
    };
    let base = Url::parse(&args.app_url).map_err(|_unreadable| refused(&args.app_url))?;
    let url = base.join(&args.target).map_err(|_unreadable| refused(&args.target))?;
    if url.scheme() == "http" && is_this_machine(&url) && base.origin() == url.origin() {
        return Ok(url);
    }
    Err(refused(&args.app_url))
}

fn method(args: &Args, has_body: bool) -> Result<Method, CliError> {
    match &args.method {
        Some(method) => method
            .to_uppercase()
            .parse()
            .map_err(|_unreadable| CliError::refused(format!("`{}` is no HTTP method", printable(method)))),
        None if has_body => Ok(Method::POST),
        None => Ok(Method::GET),
    }
}
