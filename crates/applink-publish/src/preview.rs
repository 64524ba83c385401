//! What callers will see: the Apex classes an org generates, the Flow actions, the permission sets, the agent topic.
//!
//! | in the document | in Apex, below `HerokuAppLink` |
//! |---|---|
//! | the document | class `<Client>` with a method per operation |
//! | parameters and body of an operation | `<Client>.<operation>_Request` with a member each, the body as `body` |
//! | responses 2xx | `<Client>.<operation>_Response` with `Code201`, `responseCode` |
//! | other responses | `<Client>.<operation>_ResponseException` with `Code401`, `defaultResponse`, `responseCode` |
//! | a named schema | `<Client>_<Schema>` |
//! | an inline schema | `<Client>_<operation>_IN_body`, `…_OUT_200`, with `_<property>` for each level below |
//! | callbacks | abstract `<Client>.<operation>_Callback`, a method per callback, which gets a list of `<Client>.<operation>_<callback>_Callback` |
//!
//! Where no public sample shows a name it is our guess: the class behind a callback's `response`, and the classes of
//! inline responses.

mod builder;
mod stubs;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::metadata::Plan;
use crate::spec::Spec;

pub use self::stubs::stubs;

/// The namespace of generated Apex.
pub const NAMESPACE: &str = "HerokuAppLink";

/// Members a preview lists at most; a document of allowed size can't be made to fill the memory.
pub const MAX_MEMBERS: usize = 400_000;

/// Everything callers see of one document under one client name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// The client name.
    pub client: String,
    /// The Apex classes, the service itself first.
    pub apex: Vec<Class>,
    /// `<Client>.<operation>`.
    pub flow_actions: Vec<FlowAction>,
    /// Permission sets: the first lets its users call, the others are session-based.
    pub permission_sets: Vec<String>,
    /// The agent topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Operations published as agent actions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agent_actions: Vec<String>,
}

/// One Flow action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowAction {
    /// `<Client>.<operation>`.
    pub name: String,
    /// What it is called for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it has callbacks, which only Apex can receive.
    pub has_callbacks: bool,
}

/// What a class is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassKind {
    /// The service, with a method per operation.
    Service,
    /// What a method takes.
    Request,
    /// What a method answers.
    Response,
    /// What a method throws.
    Exception,
    /// What an app developer extends to receive callbacks.
    CallbackHandler,
    /// One received callback.
    Callback,
    /// A type of the document.
    Data,
}

/// One generated class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Class {
    /// Without namespace: `Tools`, `Tools.getRate_Request`, `Tools_Rate`.
    pub name: String,
    /// What it is for.
    pub kind: ClassKind,
    /// Its members.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
    /// Its methods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Method>,
}

/// A member of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its Apex type, without namespace.
    #[serde(rename = "type")]
    pub apex_type: String,
    /// Whether it must be given.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

/// A method of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// What it returns, `void` for nothing.
    pub returns: String,
    /// Type and name of each argument.
    pub arguments: Vec<(String, String)>,
}

impl Preview {
    /// Of a document; the plan names the session-based permission sets.
    pub fn of(spec: &Spec, client: &str, plan: Option<&Plan>) -> Self {
        let sessions = plan.map(Plan::permission_sets).unwrap_or_default();
        let sets = std::iter::once(client.to_owned()).chain(sessions.into_iter().map(|set| set.name.clone()));
        let actions = spec.operations.iter().filter(|operation| operation.is_agent_action);
        Self {
            client: client.to_owned(),
            apex: builder::classes(spec, client),
            flow_actions: spec
                .operations
                .iter()
                .map(|operation| FlowAction {
                    name: format!("{client}.{}", operation.name),
                    description: operation.description.clone(),
                    has_callbacks: !operation.callbacks.is_empty(),
                })
                .collect(),
            permission_sets: sets.collect(),
            topic: spec.agent.topic.as_ref().map(|topic| topic.name.clone()),
            agent_actions: actions.map(|operation| operation.name.clone()).collect(),
        }
    }

    /// The class with this name.
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.apex.iter().find(|class| class.name == name)
    }

    /// Names of the classes callers fill in: requests, and what they are made of.
    pub(crate) fn inputs(&self) -> BTreeSet<&str> {
        let mut inputs: BTreeSet<&str> = BTreeSet::new();
        let requests = self.apex.iter().filter(|class| class.kind == ClassKind::Request);
        let mut waiting: Vec<&Class> = requests.collect();
        let by_name: std::collections::HashMap<&str, &Class> =
            self.apex.iter().map(|class| (class.name.as_str(), class)).collect();
        while let Some(class) = waiting.pop() {
            if inputs.insert(&class.name) {
                let named = class.members.iter().filter_map(|member| by_name.get(element(&member.apex_type)));
                waiting.extend(named);
            }
        }
        inputs
    }
}

/// The innermost type of `List<Map<String, X>>`.
fn element(apex_type: &str) -> &str {
    let inner = apex_type.rsplit(['<', ',']).next().unwrap_or(apex_type);
    inner.trim_end_matches('>').trim()
}

/// A type with the namespace before what this document defines.
pub fn qualified(apex_type: &str, client: &str) -> String {
    let inner = element(apex_type);
    let is_ours = inner == client
        || inner.strip_prefix(client).is_some_and(|rest| rest.starts_with('.') || rest.starts_with('_'));
    if is_ours { apex_type.replace(inner, &format!("{NAMESPACE}.{inner}")) } else { apex_type.to_owned() }
}

#[cfg(test)]
mod tests;
