//! Operations: parameters, bodies, responses, callbacks.

use super::super::code::Code;
use super::super::operations::{Method, Place};
use super::super::references;
use super::super::tree::{Node, Position};
use super::{Lint, actions, media, names, parameters};

/// Headers that the org, the mesh or HTTP itself sets.
const RESERVED: [&str; 16] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "date",
    "expect",
    "host",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-client-context",
    "x-request-context",
    "x-request-id",
    "x-signature",
];

/// Header parameters OpenAPI 3.0 itself ignores ("Parameter Object").
const IGNORED: [&str; 2] = ["accept", "content-type"];

/// Ways to write a value that External Services does not know.
const PARAMETER_KEYWORDS: [&str; 2] = ["explode", "allowReserved"];

impl Lint<'_> {
    pub(super) fn operation(&mut self, method: Method, at: Position, operation: &Place<'_>) {
        self.description(operation);
        self.servers(operation);
        self.extension(operation, &["heroku", "agent", "privacy"]);
        self.misplaced_topic(operation);
        self.both_apps(operation);
        let own = parameters(operation);
        for parameter in &own {
            self.parameter(parameter);
        }
        self.member_names(&own, operation.node.get("requestBody").map(|body| body.at));
        self.request(method, operation);
        self.responses(operation, at);
        self.callbacks(operation);
        actions::check(operation, &own, self.findings);
    }

    fn misplaced_topic(&mut self, operation: &Place<'_>) {
        let topic = ["x-sfdc", "agent", "topic"];
        if let Some(topic) = topic.iter().try_fold(operation.clone(), |place, key| place.get(key)) {
            let message = "a topic counts at the root of the document only; move it there";
            self.find(Code::TopicMisplaced, &topic.path, topic.node.at, message);
        }
    }

    fn both_apps(&mut self, operation: &Place<'_>) {
        let block = ["x-sfdc", "heroku", "authorization"];
        let Some(block) = block.iter().try_fold(operation.clone(), |place, key| place.get(key)) else {
            return;
        };
        let Some(connected) = block.get("connectedApp") else { return };
        if block.get("externalClientApp").is_some() {
            let message = "the external client app counts; remove `connectedApp`";
            self.find(Code::AuthorizationBoth, &connected.path, connected.node.at, message);
        } else {
            let name: String = connected.node.as_text().unwrap_or_default().chars().take(80).collect();
            let message = format!(
                "`{}` is a connected app, which Salesforce retires; name an external client app instead",
                name.escape_debug()
            );
            self.find(Code::ConnectedAppDeprecated, &connected.path, connected.node.at, message);
        }
    }

    pub(super) fn parameter(&mut self, parameter: &Place<'_>) {
        if references::target(parameter.node).is_some() || !self.is_new(parameter.node) {
            return;
        }
        let text = |key| parameter.node.get(key).and_then(Node::as_text);
        let name = text("name").unwrap_or_default();
        let at = parameter.node.get("name").map_or(parameter.node.at, |node| node.at);
        match text("in") {
            Some("header") => self.header(name, &parameter.path, at),
            Some("cookie") => {
                let message = "External Services sends no cookies";
                self.find(Code::CookieParameter, &parameter.path, at, message);
            }
            _ => {}
        }
        for keyword in PARAMETER_KEYWORDS {
            if let Some(found) = parameter.get(keyword) {
                let message = format!("External Services does not support `{keyword}`");
                self.find(Code::KeywordUnsupported, &found.path, found.node.at, message);
            }
        }
        self.name_length(name, &parameter.path, at);
        self.description(parameter);
        self.extension(parameter, &["agent", "privacy"]);
        if let Some(schema) = parameter.get("schema") {
            self.schema(&schema, true);
        }
    }

    fn header(&mut self, name: &str, path: &str, at: Position) {
        let lower = name.to_ascii_lowercase();
        if RESERVED.contains(&lower.as_str()) {
            let message = format!("the header `{lower}` belongs to the platform, a caller can't set it");
            self.find(Code::HeaderReserved, path, at, message);
        } else if IGNORED.contains(&lower.as_str()) {
            let message =
                format!("a parameter for the header `{lower}` is ignored: it follows from the media types");
            self.find(Code::HeaderIgnored, path, at, message);
        }
    }

    /// Parameters and body are members of one Apex class. The same name in two places of a request is one collision
    /// too.
    fn member_names(&mut self, parameters: &[Place<'_>], body: Option<Position>) {
        let body = body.map(|at| ("body", at, "$"));
        let named = parameters.iter().filter_map(|parameter| {
            let node = parameter.node.get("name")?;
            Some((node.as_text()?, node.at, parameter.path.as_str()))
        });
        names::collisions(
            Code::ParameterNameCollision,
            "parameters",
            body.into_iter().chain(named),
            self.findings,
        );
    }

    fn request(&mut self, method: Method, operation: &Place<'_>) {
        let Some(body) = operation.get("requestBody") else { return };
        if matches!(method, Method::Get | Method::Delete) {
            let message = format!("a {} sends no body", method.as_str());
            self.find(Code::BodyNotSent, &body.path, body.node.at, message);
        }
        self.request_body(&body);
    }

    fn request_body(&mut self, body: &Place<'_>) {
        let body = body.resolved();
        if !self.is_new(body.node) {
            return;
        }
        let Some(content) = body.get("content").filter(|content| content.node.as_map().is_some()) else {
            return;
        };
        self.description(&body);
        let types: Vec<&str> = content.entries().map(|(media_type, ..)| media_type).collect();
        if !types.iter().any(|media_type| media::is_supported(media_type) || media::is_wildcard(media_type)) {
            let shown: String = types.join(", ").chars().take(80).collect();
            let message = format!("External Services can't send `{}`", shown.escape_debug());
            self.find(Code::RequestMediaType, &content.path, content.node.at, message);
        }
        for (.., media) in content.entries() {
            if let Some(schema) = media.get("schema") {
                self.schema(&schema, true);
            }
        }
    }

    fn responses(&mut self, operation: &Place<'_>, at: Position) {
        let responses = operation.get("responses");
        let mut succeeds = false;
        for (status, _, response) in responses.iter().flat_map(Place::entries) {
            succeeds |= status.starts_with('2') || status == "default";
            self.response(&response.resolved());
        }
        if !succeeds {
            let message = "the operation declares no response for success (2xx), so callers get nothing back";
            self.find(Code::ResponseMissing, &operation.path, at, message);
        }
    }

    fn response(&mut self, response: &Place<'_>) {
        if !self.is_new(response.node) {
            return;
        }
        self.description(response);
        if let Some(headers) = response.get("headers").filter(|headers| headers.entries().next().is_some()) {
            let message = "External Services does not hand the headers of a response to callers";
            self.find(Code::ResponseHeader, &headers.path, headers.node.at, message);
        }
        let content = response.get("content");
        let types: Vec<&str> =
            content.iter().flat_map(Place::entries).map(|(media_type, ..)| media_type).collect();
        let is_readable =
            |media_type: &&str| media::is_supported(media_type) || media::is_wildcard(media_type);
        if let Some(content) =
            content.as_ref().filter(|_| !types.is_empty() && !types.iter().any(is_readable))
        {
            let shown: String = types.join(", ").chars().take(80).collect();
            let message = format!("External Services can't read `{}`", shown.escape_debug());
            self.find(Code::ResponseMediaType, &content.path, content.node.at, message);
        }
        for (.., media) in content.iter().flat_map(Place::entries) {
            if let Some(schema) = media.get("schema") {
                self.schema(&schema, true);
            }
        }
    }

    fn callbacks(&mut self, operation: &Place<'_>) {
        if let Some(vendor) = operation.get("x-callbacks") {
            let message = "`x-callbacks` is not read; rename it to `callbacks`";
            self.find(Code::CallbackVendorKey, &vendor.path, vendor.node.at, message);
        }
        for (name, key_at, callback) in operation.get("callbacks").iter().flat_map(Place::entries) {
            self.name_length(name, &callback.path, key_at);
            let callback = callback.resolved();
            if !self.is_new(callback.node) {
                continue;
            }
            for (.., item) in callback.entries().filter(|(key, ..)| !key.starts_with("x-")) {
                for (key, at, operation) in item.resolved().entries() {
                    if let Some(method) = Method::from_key(key) {
                        self.callback(method, at, &operation);
                    }
                }
            }
        }
    }

    fn callback(&mut self, method: Method, at: Position, operation: &Place<'_>) {
        if method != Method::Post {
            let message = format!("a callback is a POST, not a {}", method.as_str());
            self.find(Code::CallbackMethod, &operation.path, at, message);
        }
        if operation.node.get("operationId").and_then(Node::as_text).is_none() {
            let message =
                "this callback has no `operationId`, after which the Apex types of its content are named";
            self.find(Code::CallbackOperationId, &operation.path, at, message);
        }
        self.description(operation);
        if let Some(body) = operation.get("requestBody") {
            self.request_body(&body);
        }
    }
}
