//! Agent actions: what an agent asks the person for, and what it may show.

use super::super::agent::{self, Agent};
use super::super::code::Code;
use super::super::extension::X_SFDC;
use super::super::finding::Finding;
use super::super::operations::{Operation, Place};
use super::super::references;
use super::super::tree::{Node, Position};

/// Shorter descriptions do not tell an agent when to pick an action.
const SHORTEST_DESCRIPTION: usize = 10;

/// Topic and actions of the whole document.
pub(super) fn check_topic(
    root: &Place<'_>,
    operations: &[Operation],
    agent: &Agent,
    findings: &mut Vec<Finding>,
) {
    let first = operations.iter().find(|operation| operation.is_agent_action);
    match (&agent.topic, first) {
        (Some(topic), None) => {
            let message = format!("the topic `{}` has no action", topic.name.escape_debug());
            findings.push(Finding::new(Code::TopicWithoutActions, "$.x-sfdc.agent.topic", topic.at, message));
        }
        (None, Some(first)) if topic_node(root).is_none() => {
            let message = "the document publishes agent actions and has no topic";
            findings.push(Finding::new(Code::ActionWithoutTopic, &first.json_path, first.at, message));
        }
        _ => {}
    }
}

fn topic_node<'a>(root: &Place<'a>) -> Option<&'a Node> {
    [X_SFDC, "agent", "topic"].iter().try_fold(root.node, |node, key| node.get(key))
}

/// One operation, when it is an action.
pub(super) fn check(operation: &Place<'_>, parameters: &[Place<'_>], findings: &mut Vec<Finding>) {
    let (is_action, _) = agent::action(operation, &mut Vec::new());
    if !is_action {
        return;
    }
    describe(operation, findings);
    for parameter in parameters.iter().filter(|parameter| references::target(parameter.node).is_none()) {
        let on_schema = parameter.get("schema").is_some_and(|schema| says(&schema, "isUserInput", findings));
        if !on_schema && !says(parameter, "isUserInput", findings) {
            let message = "this parameter does not say whether the agent asks the person for it";
            findings.push(Finding::new(Code::ActionInput, &parameter.path, parameter.node.at, message));
        }
    }
    if let Some(body) = operation.get("requestBody") {
        body_of(
            &body.resolved(),
            ("isUserInput", Code::ActionInput, "whether the agent asks the person for it"),
            findings,
        );
    }
    for (status, _, response) in operation.get("responses").iter().flat_map(Place::entries) {
        if status.starts_with('2') {
            let asked = ("isDisplayable", Code::ActionOutput, "whether the agent may show it");
            body_of(&response.resolved(), asked, findings);
        }
    }
}

fn describe(operation: &Place<'_>, findings: &mut Vec<Finding>) {
    let text =
        ["description", "summary"].iter().find_map(|key| operation.node.get(key).and_then(Node::as_text));
    let count = text.unwrap_or_default().trim().chars().count();
    if count < SHORTEST_DESCRIPTION {
        let message =
            "this agent action has no description of at least 10 characters; the agent picks actions by it";
        findings.push(Finding::new(Code::ActionDescription, &operation.path, operation.node.at, message));
    }
}

type Asked = (&'static str, Code, &'static str);

fn body_of(body: &Place<'_>, asked: Asked, findings: &mut Vec<Finding>) {
    let content = body.get("content");
    let media = content.as_ref().and_then(|content| content.entries().next());
    let Some(schema) = media.and_then(|(.., media)| media.get("schema")) else { return };
    let resolved = schema.resolved();
    if references::target(schema.node).is_some() {
        by_reference(&schema, &resolved, asked, findings);
    } else if !says(&resolved, asked.0, findings) {
        properties(&resolved, asked, findings);
    }
}

/// The org reads agent keys in inline schemas only.
fn by_reference(
    schema: &Place<'_>,
    resolved: &Place<'_>,
    (key, code, what): Asked,
    findings: &mut Vec<Finding>,
) {
    let at = schema.node.at;
    let is_marked = says(resolved, key, findings)
        || resolved
            .get("properties")
            .iter()
            .flat_map(Place::entries)
            .any(|(.., property)| says(&property, key, &mut Vec::new()));
    if is_marked {
        let message =
            format!("`{key}` stands in a schema that is reached by `$ref`, where the org may not read it");
        findings.push(Finding::new(Code::ActionReference, &schema.path, at, message));
    } else {
        findings.push(Finding::new(code, &schema.path, at, format!("nothing here says {what}")));
    }
}

fn properties(schema: &Place<'_>, (key, code, what): Asked, findings: &mut Vec<Finding>) {
    let unmarked: Vec<(&str, Position, String)> = schema
        .get("properties")
        .iter()
        .flat_map(Place::entries)
        .filter(|(.., property)| !says(property, key, findings))
        .map(|(name, at, property)| (name, at, property.path))
        .collect();
    for (name, at, path) in unmarked {
        let name: String = name.chars().take(80).collect();
        findings.push(Finding::new(code, path, at, format!("`{}` does not say {what}", name.escape_debug())));
    }
}

fn says(place: &Place<'_>, key: &str, findings: &mut Vec<Finding>) -> bool {
    agent::flag(place, &[X_SFDC, "agent", "action", key], findings).is_some()
}
