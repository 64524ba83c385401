//! The company that runs the services. In this sample it is a few rules; in a real app this is where a call to
//! somebody else's API goes.

use serde::Serialize;

use super::parameters::Parameters;
use super::sold::LineItem;

/// Parameter: where services run.
const REGION: &str = "defaultRegion";
/// Parameter: how many of one service may be ordered at once.
const MAX_QUANTITY: &str = "maxNodesPerOrder";
/// The same when the parameter says nothing.
const DEFAULT_MAX_QUANTITY: f64 = 1_000.0;

/// What became of one line item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_id: Option<String>,
    pub(super) opportunity_id: String,
    pub(super) line_item_id: String,
    pub(super) product_reference: String,
    pub(super) status: Outcome,
    pub(super) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Outcome {
    Provisioned,
    Failed,
}

/// Orders one service. The line item's id makes the order repeatable: the same one gets the same service.
pub(super) fn order(opportunity_id: &str, item: &LineItem, parameters: &Parameters) -> ServiceResult {
    let (status, message) = match refusal(item, parameters) {
        Some(reason) => (Outcome::Failed, reason),
        None => {
            let region = parameters.get(REGION).map(|region| format!(" in {region}")).unwrap_or_default();
            (Outcome::Provisioned, format!("{} × {} runs{region}.", item.quantity, item.product))
        }
    };
    ServiceResult {
        service_id: (status == Outcome::Provisioned).then(|| format!("svc-{}", item.id)),
        opportunity_id: opportunity_id.to_owned(),
        line_item_id: item.id.clone(),
        product_reference: item.product.clone(),
        status,
        message,
    }
}

fn refusal(item: &LineItem, parameters: &Parameters) -> Option<String> {
    let limit =
        parameters.get(MAX_QUANTITY).and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_MAX_QUANTITY);
    if item.quantity <= 0.0 {
        return Some(format!("{} can't be provisioned: the quantity is {}.", item.product, item.quantity));
    }
    (item.quantity > limit)
        .then(|| format!("{} can't be provisioned: more than {limit} at once.", item.product))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(quantity: f64, parameters: &[(&str, &str)]) -> ServiceResult {
        let item = LineItem { id: "00k1".to_owned(), product: "Edge Gateway".to_owned(), quantity };
        order("0061", &item, &Parameters::of(parameters))
    }

    #[test]
    fn parameters_say_where_and_how_many() {
        let result = ordered(2.0, &[("DEFAULTREGION", "eu-west-1")]);
        assert_eq!(result.service_id.as_deref(), Some("svc-00k1"));
        assert_eq!(result.message, "2 × Edge Gateway runs in eu-west-1.");
        assert_eq!(ordered(2.5, &[]).message, "2.5 × Edge Gateway runs.");
        assert_eq!(ordered(11.0, &[("maxNodesPerOrder", "10")]).status, Outcome::Failed);
        assert_eq!(ordered(10.0, &[("maxNodesPerOrder", "10")]).status, Outcome::Provisioned);
        let nothing = ordered(0.0, &[]);
        assert_eq!((nothing.status, nothing.service_id), (Outcome::Failed, None));
    }
}
