//! `applink-mesh check`: would a mesh work here? Reads the configuration, asks the control plane, looks at the app's
//! port, and says what it found. Nothing is started.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use applink_api::connection::ConnectionStatus;
use applink_api::trust::TrustBundle;
use http::StatusCode;

use crate::config::MeshConfig;
use crate::control_plane::{Answer, ControlPlane};
use crate::readiness::accepts_connections;
use crate::record::chain;

const MAX_BUNDLE: usize = 16 * 1024 * 1024;

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// As it should be.
    Good(String),
    /// It will work, but somebody should know.
    Warning(String),
    /// It will not work.
    Problem(String),
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (word, text) = match self {
            Self::Good(text) => ("ok", text),
            Self::Warning(text) => ("warning", text),
            Self::Problem(text) => ("problem", text),
        };
        write!(f, "{word:<8} {text}")
    }
}

/// Looks at everything.
pub(crate) async fn check(config: &MeshConfig) -> Vec<Finding> {
    let mut findings = vec![Finding::Good("the configuration can be read".to_owned())];
    findings.extend(risks(config));
    findings.push(control_plane(config).await);
    findings.extend(app(config).await);
    findings
}

fn risks(config: &MeshConfig) -> Vec<Finding> {
    let mut risks = Vec::new();
    if config.bypass.all {
        risks.push(Finding::Warning("every route is open: nothing is authenticated".to_owned()));
    }
    if config.app_uuid.is_none() {
        let text = "HEROKU_APP_ID is not set: calls for another app are refused only once they are verified";
        risks.push(Finding::Warning(text.to_owned()));
    }
    risks
}

async fn control_plane(config: &MeshConfig) -> Finding {
    let client = match ControlPlane::new(&config.api_url, &config.token) {
        Ok(client) => client,
        Err(error) => return Finding::Problem(chain(&error)),
    };
    match client.get("/trust-bundle", None, MAX_BUNDLE).await {
        Ok(answer) => answered(&answer),
        Err(error) => Finding::Problem(chain(&error)),
    }
}

fn answered(answer: &Answer) -> Finding {
    match answer.status {
        StatusCode::OK => match serde_json::from_slice::<TrustBundle>(&answer.body) {
            Ok(bundle) => trusted(&bundle),
            Err(_) => Finding::Warning("the control plane has no trust bundle: it will be asked about every call".into()),
        },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Finding::Problem(
            "the control plane does not know this token: take HEROKU_APPLINK_TOKEN from the add-on's config vars".into(),
        ),
        StatusCode::NOT_FOUND => Finding::Warning(
            "the control plane answers, but has no trust bundle under this URL: it will be asked about every call".into(),
        ),
        status => Finding::Problem(format!("the control plane answers {status}")),
    }
}

fn trusted(bundle: &TrustBundle) -> Finding {
    let connected = bundle.orgs.iter().filter(|org| org.state == ConnectionStatus::Connected).count();
    let published = bundle.publications.len();
    if connected == 0 {
        return Finding::Warning(
            "the control plane answers; no org is connected yet: `salesforce:connect`".into(),
        );
    }
    if published == 0 {
        return Finding::Warning(format!(
            "the control plane answers; {connected} org(s) connected, but this app is published in none: `salesforce:publish`"
        ));
    }
    Finding::Good(format!(
        "the control plane answers; {connected} org(s) connected, {published} publication(s)"
    ))
}

async fn app(config: &MeshConfig) -> Vec<Finding> {
    let at = config.app.authority();
    if !accepts_connections(&config.app).await {
        return vec![Finding::Good(format!("nothing listens on {at} yet; the app must, once it runs"))];
    }
    let mut findings = vec![Finding::Good(format!("something listens on {at}"))];
    if config.app.is_loopback() && listens_beyond_loopback(config.app.port()) {
        findings.push(Finding::Warning(format!(
            "the app listens on more than loopback: whoever reaches port {} of this machine gets around the mesh; \
             let it listen on 127.0.0.1",
            config.app.port()
        )));
    }
    findings
}

/// As the kernel lists its listeners; false where it does not (other systems than Linux).
pub(crate) fn listens_beyond_loopback(port: u16) -> bool {
    ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().any(|table| {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        listeners(&table, port).into_iter().any(|address| !address.to_canonical().is_loopback())
    })
}

/// Local addresses that listen on `port`: `00000000:0BB8 … 0A`, bytes of each 32-bit word in reverse.
fn listeners(table: &str, port: u16) -> Vec<IpAddr> {
    let lines = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let (address, listening) = local.split_once(':')?;
        (state == "0A" && u16::from_str_radix(listening, 16) == Ok(port)).then_some(())?;
        parse_address(address)
    });
    lines.collect()
}

fn parse_address(hex: &str) -> Option<IpAddr> {
    let words: Option<Vec<[u8; 4]>> = (0..hex.len() / 8)
        .map(|word| {
            let digits = hex.get(word * 8..word * 8 + 8)?;
            u32::from_str_radix(digits, 16).ok().map(u32::to_le_bytes)
        })
        .collect();
    match words?.as_slice() {
        [word] => Some(Ipv4Addr::from(*word).into()),
        [a, b, c, d] => {
            let mut bytes = [0; 16];
            bytes.iter_mut().zip([a, b, c, d].into_iter().flatten()).for_each(|(to, from)| *to = *from);
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   2: 0100007F:0BBA 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0";
    const TABLE6: &str = "  sl  local_address rem_address st
   0: 00000000000000000000000000000000:0BB8 00000000000000000000000000000000:0000 0A 0
   1: 00000000000000000000000001000000:0BB9 00000000000000000000000000000000:0000 0A 0
   2: 0000000000000000FFFF00000100007F:0BBA 00000000000000000000000000000000:0000 0A 0";

    #[test]
    fn listeners_are_read_from_the_kernels_tables() {
        let first =
            |table, port| listeners(table, port).first().map(|address| address.to_canonical().to_string());
        assert_eq!(first(TABLE, 3000).as_deref(), Some("127.0.0.1"));
        assert_eq!(first(TABLE, 3001).as_deref(), Some("0.0.0.0"));
        assert_eq!(first(TABLE, 3002), None, "a connection is no listener");
        assert_eq!(first(TABLE6, 3000).as_deref(), Some("::"));
        assert_eq!(first(TABLE6, 3001).as_deref(), Some("::1"));
        assert_eq!(first(TABLE6, 3002).as_deref(), Some("127.0.0.1"));
        assert!(listeners("", 1).is_empty() && listeners("x\ny z", 1).is_empty());
    }
}
