//! Which add-on a command is about.

use std::path::Path;

use applink_api::client::{Client, ClientBuilder, ClientError};
use applink_api::ids::AppUuid;
use applink_api::names::look_up_key;
use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use super::heroku::{self, Found, Heroku};
use super::{Layer, Origin, Settings, Variables, git_remote, netrc};
use crate::arguments::AddonArgs;
use crate::error::CliError;
use crate::printer::Printer;
use crate::rehearsal::Publisher;

/// The config-var prefix of an add-on's first attachment.
const DEFAULT_PREFIX: &str = "HEROKU_APPLINK";
/// Names the attachment to use when none is asked for, as in the official SDKs.
const DEFAULT_ATTACHMENT: &str = "HEROKU_APPLINK_ADDON_NAME";
/// An API key with scope `manage`.
const API_KEY: &str = "APPLINK_API_KEY";
const APP_ID: &str = "HEROKU_APP_ID";
const APP_NAME: &str = "HEROKU_APP_NAME";
/// The add-on's name, for messages and for `--addon`.
const ADDON_NAME: &str = "APPLINK_ADDON_NAME";
/// The app of the official CLI, when no flag names one.
const HEROKU_APP: &str = "HEROKU_APP";

/// An add-on with the credentials to use it, all from one layer.
#[derive(Debug)]
pub(crate) struct Addon {
    api_url: String,
    token: Option<SecretString>,
    api_key: Option<SecretString>,
    /// Heroku's word for who is asking.
    sso: Option<SecretString>,
    app_id: Option<AppUuid>,
    app_label: String,
    label: String,
    prefix: String,
    /// Where a browser signs on, as far as Heroku knows.
    dashboard: Option<String>,
    /// Where orgs call the app, as far as Heroku knows.
    app_url: Option<String>,
    origin: Origin,
}

/// The variables of one attachment inside a layer.
struct Attachment<'a> {
    prefix: String,
    url_variable: String,
    url: &'a str,
}

impl Settings {
    /// The add-on the flags ask for: that of the environment or of the nearest `dev.env`, if it is of the app that is
    /// wanted; else that of the app at Heroku.
    ///
    /// # Errors
    /// When nothing matches, or the match has no credentials.
    pub(crate) async fn addon(&self, args: &AddonArgs) -> Result<Addon, CliError> {
        let layers = self.layers()?;
        let missing = match self.nearby(args, &layers)? {
            Ok(addon) => return Ok(addon),
            Err(missing) => missing,
        };
        let app = match self.wanted_app(args)? {
            Some(app) => Some(app),
            None => git_remote::only_app(self.directory())?,
        };
        match (app, self.heroku(&layers)?) {
            (Some(app), Some(heroku)) => {
                let found = heroku.find(&app, args.addon.as_deref()).await?;
                Ok(Addon::at_heroku(found, heroku.host()))
            }
            (Some(app), None) => Err(self.unasked(missing, &app)?),
            (None, _) => Err(missing),
        }
    }

    /// Nothing nearby leads to the add-on of `app`, and Heroku can't be asked.
    fn unasked(&self, missing: CliError, app: &str) -> Result<CliError, CliError> {
        let is_general = missing.next_step() == Some(WHERE);
        let told = missing
            .note(format!("whether {app} has one at Heroku can't be asked: {}", self.no_heroku_token()?));
        Ok(if is_general { told.hint(format!("{HEROKU_TOKEN}; {ELSEWHERE}")) } else { told })
    }

    /// What was looked for in vain.
    fn no_heroku_token(&self) -> Result<String, CliError> {
        let machine = heroku::machine(&heroku::api(self.environment().get(heroku::HOST))?);
        Ok(format!("{} isn't set, and ~/.netrc has no token for {machine}", heroku::API_KEY))
    }

    /// The add-on with a person behind the call, which no key and no token is: whom Heroku (or the stand-in) knows is signed on
    /// by it, also where variables lead to the same add-on. Where nobody is known, it is the add-on as [`Settings::addon`] has it.
    ///
    /// # Errors
    /// When nothing matches, or the match has no credentials.
    pub(crate) async fn addon_of_person(&self, args: &AddonArgs) -> Result<Addon, CliError> {
        let addon = self.addon(args).await?;
        if addon.is_at_heroku() {
            return Ok(addon);
        }
        match self.addon_at_heroku(args).await {
            Ok(signed_on) if same_url(&signed_on.api_url, &addon.api_url) => Ok(signed_on),
            _ => Ok(addon),
        }
    }

    /// The same without asking anybody.
    ///
    /// # Errors
    /// When nothing matches, or the match has no credentials.
    pub(crate) fn addon_nearby(&self, args: &AddonArgs) -> Result<Addon, CliError> {
        self.nearby(args, &self.layers()?)?
    }

    /// The add-on of a layer. The inner error says that there is none; the outer one that there is one, but it can't be
    /// used.
    fn nearby(&self, args: &AddonArgs, layers: &[Layer]) -> Result<Result<Addon, CliError>, CliError> {
        let wanted = self.wanted_app(args)?;
        let mut of_another_app = None;
        for layer in layers {
            let Some(attachment) = find(layer, args.addon.as_deref())? else { continue };
            match ensure_same_app(wanted.as_deref(), &layer.variables, &layer.origin) {
                Ok(()) => return self.addon_of(layer, &attachment, wanted.as_deref(), args).map(Ok),
                Err(error) => of_another_app = of_another_app.or(Some(error)),
            }
        }
        Ok(Err(of_another_app.unwrap_or_else(|| not_found(layers, args.addon.as_deref()))))
    }

    /// The add-on as Heroku (or the stand-in) has it, also where variables would do: only Heroku knows how a browser
    /// signs on.
    ///
    /// # Errors
    /// When the app is not known, or there is no token for Heroku.
    pub(crate) async fn addon_at_heroku(&self, args: &AddonArgs) -> Result<Addon, CliError> {
        let layers = self.layers()?;
        let of_layer = || layers.iter().find_map(|layer| layer.variables.get(APP_NAME)).map(str::to_owned);
        let app = match self.wanted_app(args)? {
            Some(app) => Some(app),
            None => of_layer().map_or_else(|| git_remote::only_app(self.directory()), |app| Ok(Some(app)))?,
        };
        let app = app.ok_or_else(|| {
            CliError::broken("it is not known which app this is about").hint("name the app with --app")
        })?;
        let Some(heroku) = self.heroku(&layers)? else {
            return Err(CliError::broken("there is no token for the Heroku API")
                .note(self.no_heroku_token()?)
                .hint(HEROKU_TOKEN));
        };
        let found = heroku.find(&app, args.addon.as_deref()).await?;
        Ok(Addon::at_heroku(found, heroku.host()))
    }

    /// The add-on whose dashboard a browser is to see. A person whom Heroku (or the stand-in) knows is signed on by it;
    /// elsewhere the control plane itself gives out a link, to who has its credentials: [`Addon::dashboard`] is none then.
    ///
    /// # Errors
    /// When neither is known.
    pub(crate) async fn addon_to_look_at(&self, args: &AddonArgs) -> Result<Addon, CliError> {
        let layers = self.layers()?;
        if layers.iter().any(|layer| layer.variables.secret(heroku::API_KEY).is_some()) {
            return self.addon_at_heroku(args).await;
        }
        match self.nearby(args, &layers)? {
            // Whoever has a key manages the add-on with it, whatever else `.netrc` is good for.
            Ok(addon) if addon.api_key.is_some() || self.heroku(&layers)?.is_none() => Ok(addon),
            _ => self.addon_at_heroku(args).await.map_err(|error| error.note(OWN_SERVER)),
        }
    }

    /// The Platform API, with the token of the first layer that has one, or of `.netrc`. Address and token come from
    /// the same layer.
    fn heroku(&self, layers: &[Layer]) -> Result<Option<Heroku>, CliError> {
        let service = self.environment().get(heroku::SERVICE);
        for layer in layers {
            let Some(key) = layer.variables.secret(heroku::API_KEY) else { continue };
            let host = layer.variables.get(heroku::HOST);
            let base = heroku::api(host)?;
            layer.ensure_trusted(heroku::HOST, base.as_str())?;
            let key_from = format!("{} of {}", heroku::API_KEY, layer.origin);
            return Heroku::new(base, key, key_from, service).map(Some);
        }
        let base = heroku::api(self.environment().get(heroku::HOST))?;
        let home = self.environment().get("HOME");
        let text = home.and_then(|home| std::fs::read_to_string(Path::new(home).join(".netrc")).ok());
        let key = text.and_then(|text| netrc::password(&text, &heroku::machine(&base)));
        key.map(|key| Heroku::new(base, key, "the token in ~/.netrc".to_owned(), service)).transpose()
    }

    fn addon_of(
        &self,
        layer: &Layer,
        found: &Attachment<'_>,
        wanted: Option<&str>,
        args: &AddonArgs,
    ) -> Result<Addon, CliError> {
        layer.ensure_trusted(&found.url_variable, found.url)?;
        let variables = &layer.variables;
        let token_variable = format!("{}_TOKEN", found.prefix);
        let (token, api_key) = (variables.secret(&token_variable), variables.secret(API_KEY));
        if token.is_none() && api_key.is_none() {
            return Err(CliError::broken(format!(
                "{} is set in {}, but {token_variable} is not",
                found.url_variable, layer.origin
            ))
            .code("credentials-incomplete")
            .hint(format!("set {token_variable}, or {API_KEY} for an API key")));
        }
        let app_id = app_id(wanted, variables, &layer.origin)?;
        let known = wanted.or_else(|| variables.get(APP_NAME));
        let app_label = known.map(str::to_owned).or_else(|| app_id.map(|id| id.to_string()));
        Ok(Addon {
            api_url: found.url.to_owned(),
            token,
            api_key,
            sso: None,
            dashboard: None,
            app_url: None,
            app_id,
            app_label: app_label.unwrap_or_else(|| "this app".to_owned()),
            label: label(variables, found, args.addon.as_deref()),
            prefix: found.prefix.clone(),
            origin: layer.origin.clone(),
        })
    }

    /// The app of `--app`, of the git remote of `--remote`, or of `HEROKU_APP`.
    fn wanted_app(&self, args: &AddonArgs) -> Result<Option<String>, CliError> {
        match &args.remote {
            Some(remote) => git_remote::app_of(remote, self.directory()).map(Some),
            None => Ok(args.app.clone().or_else(|| self.environment().get(HEROKU_APP).map(str::to_owned))),
        }
    }
}

impl Addon {
    fn at_heroku(found: Found, host: String) -> Self {
        Self {
            api_url: found.api_url,
            token: Some(found.token),
            api_key: None,
            sso: Some(found.sso),
            app_id: Some(found.app.id),
            app_label: found.app.name,
            label: found.addon_name,
            prefix: found.prefix,
            dashboard: found.dashboard,
            app_url: found.app.web_url,
            origin: Origin::Heroku(host),
        }
    }

    /// What stands behind the call is a key, of a person or a pipeline; where that comes from.
    pub(crate) fn key(&self) -> Option<String> {
        self.api_key.as_ref().map(|_key| format!("{API_KEY} of {}", self.origin))
    }

    /// Its uuid, when its address names it.
    pub(crate) fn id(&self) -> Option<Uuid> {
        addon_uuid(&self.api_url)
    }

    /// Where a browser signs on to its dashboard, when Heroku knows.
    pub(crate) fn dashboard(&self) -> Option<&str> {
        self.dashboard.as_deref()
    }

    /// Whether it was found through the Platform API.
    pub(crate) fn is_at_heroku(&self) -> bool {
        matches!(self.origin, Origin::Heroku(_))
    }

    /// What an app finds in its environment: the address, the token, the app.
    pub(crate) fn app_variables(&self) -> Vec<(String, SecretString)> {
        let mut variables = vec![(format!("{}_API_URL", self.prefix), self.api_url.clone().into())];
        variables.extend(self.token.clone().map(|token| (format!("{}_TOKEN", self.prefix), token)));
        variables.extend(self.app_id.map(|id| (APP_ID.to_owned(), id.to_string().into())));
        variables.push((APP_NAME.to_owned(), self.app_label.clone().into()));
        variables
    }

    /// A client of it.
    ///
    /// # Errors
    /// When its address or credentials can't be used.
    pub(crate) fn client(&self, printer: Printer) -> Result<Client, CliError> {
        let mut builder = with_common(Client::builder(&self.api_url), printer);
        if let Some(token) = &self.token {
            builder = builder.token(token.clone());
        }
        if let Some(key) = &self.api_key {
            builder = builder.api_key(key.clone());
        }
        if let Some(sso) = &self.sso {
            builder = builder.addon_sso(sso.clone());
        }
        if let Some(app) = self.app_id {
            builder = builder.app(app);
        }
        builder.build().map_err(|error| self.explain(error))
    }

    /// A client that asks as the app does, with the add-on's token alone: only an app is handed tokens.
    ///
    /// # Errors
    /// When there is no token, or the app's id isn't known.
    pub(crate) fn app_client(&self, printer: Printer) -> Result<Client, CliError> {
        let token = self.token.clone().ok_or_else(|| {
            CliError::broken(format!("{}_TOKEN isn't set in {}", self.prefix, self.origin))
                .hint("only the add-on's token, which apps have, opens what apps are given")
        })?;
        let builder = with_common(Client::builder(&self.api_url), printer).token(token).app(self.app_id()?);
        builder.build().map_err(|error| self.explain(error))
    }

    /// The app's id, which some calls need.
    ///
    /// # Errors
    /// When it isn't known.
    pub(crate) fn app_id(&self) -> Result<AppUuid, CliError> {
        self.app_id.ok_or_else(|| {
            CliError::broken(format!("{APP_ID} isn't set in {}, so the app is not known", self.origin))
                .hint(format!("set {APP_ID} to the app's uuid, or give it with --app"))
        })
    }

    /// Who publishes, by the ids in the add-on's address and the app's variables.
    ///
    /// # Errors
    /// When one of them isn't known.
    pub(crate) fn publisher(&self) -> Result<Publisher, CliError> {
        let addon = Url::parse(&self.api_url).ok().and_then(|url| {
            let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
            let id = segments.iter().position(|segment| *segment == "addons").map(|at| at.saturating_add(1));
            id.and_then(|id| segments.get(id)).and_then(|id| id.parse().ok())
        });
        let addon = addon.ok_or_else(|| CliError::broken("the add-on's address does not name the add-on"))?;
        Ok(Publisher { addon, app: self.app_id()?, app_name: self.app_label.clone() })
    }

    /// The service's address.
    pub(crate) fn api_url(&self) -> &str {
        &self.api_url
    }

    /// The name of one of its config vars: `_TOKEN`, `_API_URL`.
    pub(crate) fn variable(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.prefix)
    }

    /// Where orgs call the app, when Heroku knows.
    pub(crate) fn app_url(&self) -> Option<&str> {
        self.app_url.as_deref()
    }

    /// The add-on, for people.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The app, for people.
    pub(crate) fn app_label(&self) -> &str {
        &self.app_label
    }

    /// A failed call, with what the person can change about it.
    pub(crate) fn explain(&self, error: ClientError) -> CliError {
        let origin = format!("the address comes from {}_API_URL in {}", self.prefix, self.origin);
        let stopped =
            matches!(&self.origin, Origin::File(_)) && matches!(error, ClientError::Unreachable { .. });
        let refused = error.status() == Some(401);
        let no_key = refused && self.api_key.is_none() && self.sso.is_none();
        let about_address = matches!(
            error,
            ClientError::Unreachable { .. } | ClientError::NotAppLink { .. } | ClientError::InvalidUrl { .. }
        );
        let not_there = error.is_not_found();
        let mut told = CliError::from(error);
        if not_there && told.next_step().is_none() {
            told = told.note(origin.clone()).hint("`applink doctor` looks for what is wrong");
        }
        if about_address {
            told = told.note(origin);
        }
        if stopped {
            told = told.hint("is `applink dev` still running?");
        }
        if let (true, Some(key)) = (refused, self.key()) {
            told = told.hint(format!(
                "{key}, or the add-on's token, counts no more or is of another add-on: `applink doctor` says which"
            ));
        }
        if no_key {
            told = told.hint(format!(
                "an add-on token can't change things: set {API_KEY} (`applink admin keys create` makes one)"
            ));
        }
        told
    }
}

/// What every client of this program has in common.
pub(super) fn with_common(builder: ClientBuilder, printer: Printer) -> ClientBuilder {
    builder
        .user_agent(concat!("applink/", env!("CARGO_PKG_VERSION")))
        .on_warning(move |text| printer.warning(&crate::printer::printable(text)))
}

/// The attachment `selector` means in this layer: a URL, the add-on's uuid or name, a prefix, or a colour.
fn find<'a>(layer: &'a Layer, selector: Option<&str>) -> Result<Option<Attachment<'a>>, CliError> {
    let variables = &layer.variables;
    let default = variables.get(DEFAULT_ATTACHMENT).map_or_else(|| DEFAULT_PREFIX.to_owned(), prefix_of);
    let Some(selector) = selector else {
        let found = attachment(variables, &default);
        return if found.is_some() { Ok(found) } else { only_one(layer) };
    };
    if selector.contains("://") {
        return Ok(all(variables).find(|found| same_url(found.url, selector)));
    }
    if let Ok(uuid) = Uuid::parse_str(selector) {
        return Ok(all(variables).find(|found| addon_uuid(found.url) == Some(uuid)));
    }
    if variables.get(ADDON_NAME).is_some_and(|name| name == selector) {
        return Ok(attachment(variables, &default));
    }
    let key = prefix_of(selector);
    Ok(attachment(variables, &key).or_else(|| attachment(variables, &format!("{default}_{key}"))))
}

/// An app with one attachment under a name of its own need not say which.
fn only_one(layer: &Layer) -> Result<Option<Attachment<'_>>, CliError> {
    let mut found = all(&layer.variables).filter(|found| addon_uuid(found.url).is_some());
    match (found.next(), found.next()) {
        (Some(first), Some(second)) => {
            let more = found.map(|found| found.prefix);
            let prefixes: Vec<_> = [first.prefix, second.prefix].into_iter().chain(more).collect();
            Err(CliError::refused(format!(
                "there are several AppLink add-ons in {}: {}",
                layer.origin,
                prefixes.join(", ")
            ))
            .hint("say which with --addon"))
        }
        (only, _) => Ok(only),
    }
}

fn attachment<'a>(variables: &'a Variables, prefix: &str) -> Option<Attachment<'a>> {
    ["_API_URL", "_URL"].into_iter().find_map(|suffix| {
        let url_variable = format!("{prefix}{suffix}");
        let url = variables.get(&url_variable)?;
        Some(Attachment { prefix: prefix.to_owned(), url_variable, url })
    })
}

fn all(variables: &Variables) -> impl Iterator<Item = Attachment<'_>> {
    variables.iter().filter_map(|(name, url)| {
        let prefix = name.strip_suffix("_API_URL")?;
        Some(Attachment { prefix: prefix.to_owned(), url_variable: name.to_owned(), url })
    })
}

/// `blue-one` names the config vars `BLUE_ONE_…`.
fn prefix_of(selector: &str) -> String {
    look_up_key(selector).to_ascii_uppercase()
}

fn same_url(left: &str, right: &str) -> bool {
    left.trim_end_matches('/').eq_ignore_ascii_case(right.trim_end_matches('/'))
}

/// The add-on of `https://<host>/addons/<uuid>`.
fn addon_uuid(url: &str) -> Option<Uuid> {
    let url = Url::parse(url).ok()?;
    let mut segments = url.path_segments()?.filter(|segment| !segment.is_empty()).rev();
    let last = segments.next()?;
    (segments.next()? == "addons").then(|| Uuid::parse_str(last).ok()).flatten()
}

fn label(variables: &Variables, found: &Attachment<'_>, selector: Option<&str>) -> String {
    let by_name = selector.filter(|selector| !selector.contains("://") && Uuid::parse_str(selector).is_err());
    let uuid = || addon_uuid(found.url).map(|uuid| uuid.to_string());
    let name = by_name.or_else(|| variables.get(ADDON_NAME)).map(str::to_owned);
    name.or_else(uuid).unwrap_or_else(|| found.prefix.clone())
}

/// `--app` must not be a different app than the one the credentials are of.
fn ensure_same_app(wanted: Option<&str>, variables: &Variables, origin: &Origin) -> Result<(), CliError> {
    let (Some(wanted), Some(name)) = (wanted, variables.get(APP_NAME)) else { return Ok(()) };
    if wanted == name || variables.get(APP_ID).is_some_and(|id| wanted.eq_ignore_ascii_case(id)) {
        return Ok(());
    }
    Err(CliError::refused(format!("the add-on in {origin} belongs to app {name}, not to {wanted}")).hint(
        format!(
            "leave --app out, set the variables of {wanted}, or have Heroku asked: \
             `export HEROKU_API_KEY=$(heroku auth:token)` after `heroku login`"
        ),
    ))
}

fn app_id(wanted: Option<&str>, variables: &Variables, origin: &Origin) -> Result<Option<AppUuid>, CliError> {
    if let Some(id) = wanted.and_then(|wanted| wanted.parse().ok()) {
        return Ok(Some(id));
    }
    let Some(text) = variables.get(APP_ID) else { return Ok(None) };
    let invalid = |_| {
        CliError::broken(format!("{APP_ID} in {origin} is not a uuid"))
            .code("app-id-invalid")
            .hint("it looks like 89abcdef-0123-4567-89ab-cdef01234567")
    };
    text.parse().map(Some).map_err(invalid)
}

fn not_found(layers: &[Layer], selector: Option<&str>) -> CliError {
    let prefixes: Vec<String> = layers
        .iter()
        .flat_map(|layer| {
            all(&layer.variables).map(move |found| format!("{} ({})", found.prefix, layer.origin))
        })
        .collect();
    match selector {
        Some(selector) if !prefixes.is_empty() => CliError::refused(format!(
            "there is no AppLink add-on {selector}; there is {}",
            prefixes.join(", ")
        )),
        Some(selector) => CliError::refused(format!("there is no AppLink add-on {selector}")).hint(WHERE),
        None => CliError::broken("no AppLink add-on is known here").hint(WHERE),
    }
}

const OWN_SERVER: &str =
    "a control plane of your own is found by HEROKU_APPLINK_API_URL and APPLINK_API_KEY in the environment";

const WHERE: &str = "name the app with --app (and `export HEROKU_API_KEY=$(heroku auth:token)` after `heroku login`), `applink login` to one, set HEROKU_APPLINK_API_URL and HEROKU_APPLINK_TOKEN, or run this below a directory with a running `applink dev`";

/// A Heroku CLI that finds a keyring keeps its token there, and not in `.netrc`.
const HEROKU_TOKEN: &str = "after `heroku login`: `export HEROKU_API_KEY=$(heroku auth:token)` (newer versions of the Heroku CLI keep the token in the keyring of the operating system, which only they read)";

const ELSEWHERE: &str =
    "without Heroku: `applink login` to an add-on, or set HEROKU_APPLINK_API_URL and HEROKU_APPLINK_TOKEN";

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

    fn layer(pairs: &[(&str, &str)]) -> Layer {
        let variables = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Layer { origin: Origin::Environment, variables }
    }

    fn chosen(pairs: &[(&str, &str)], selector: Option<&str>) -> Option<String> {
        find(&layer(pairs), selector).unwrap().map(|found| found.prefix)
    }

    #[test]
    fn an_addon_is_found_by_each_of_its_names() {
        let blue = format!("https://h/addons/{UUID}");
        let vars = [
            ("HEROKU_APPLINK_API_URL", "https://h/addons/1"),
            ("HEROKU_APPLINK_BLUE_API_URL", blue.as_str()),
            ("STAGING_API_URL", "https://h/addons/3"),
            ("APPLINK_ADDON_NAME", "applink-regular-78506"),
        ];
        for (selector, expected) in [
            (None, Some("HEROKU_APPLINK")),
            (Some("applink-regular-78506"), Some("HEROKU_APPLINK")),
            (Some("blue"), Some("HEROKU_APPLINK_BLUE")),
            (Some("HEROKU_APPLINK_BLUE"), Some("HEROKU_APPLINK_BLUE")),
            (Some(UUID), Some("HEROKU_APPLINK_BLUE")),
            (Some("HTTPS://H/ADDONS/3/"), Some("STAGING")),
            (Some("staging"), Some("STAGING")),
            (Some("green"), None),
        ] {
            assert_eq!(chosen(&vars, selector).as_deref(), expected, "{selector:?}");
        }
    }

    #[test]
    fn a_direct_prefix_wins_over_a_colour_and_the_default_may_be_named() {
        let vars =
            [("BLUE_API_URL", "https://h/addons/1"), ("HEROKU_APPLINK_BLUE_API_URL", "https://h/addons/2")];
        assert_eq!(chosen(&vars, Some("blue")).as_deref(), Some("BLUE"));
        let vars = [("HEROKU_APPLINK_ADDON_NAME", "staging"), ("STAGING_API_URL", "https://h/addons/1")];
        assert_eq!(chosen(&vars, None).as_deref(), Some("STAGING"));
        let vars = [("HEROKU_APPLINK_URL", "https://h/addons/1")];
        assert_eq!(chosen(&vars, None).as_deref(), Some("HEROKU_APPLINK"));
    }

    #[test]
    fn one_addon_of_any_prefix_is_enough_and_two_are_too_many() {
        let one = format!("https://h/addons/{UUID}");
        assert_eq!(
            chosen(&[("MY_API_URL", &one), ("OTHER_API_URL", "https://h/v1")], None).as_deref(),
            Some("MY")
        );
        let two = layer(&[("A_API_URL", &one), ("B_API_URL", &one)]);
        assert!(find(&two, None).is_err());
    }
}
