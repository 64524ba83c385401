//! Which ports the parts listen on: what was asked for, what the last start had, what is free.

use std::net::{Ipv4Addr, TcpListener};

use thiserror::Error;

use super::state_dir::Ports;

/// Where the production org listens on a first start.
const ORG: u16 = 7701;
/// Where the sandbox org listens on a first start.
const SANDBOX: u16 = 7702;

/// What the person asked for; 0 is any free port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AskedPorts {
    pub(crate) control_plane: u16,
    pub(crate) org: Option<u16>,
    pub(crate) sandbox: Option<u16>,
    pub(crate) mesh: u16,
    pub(crate) app: u16,
}

/// No ports can be chosen.
#[derive(Debug, Error)]
pub(crate) enum PortError {
    #[error(
        "the {part} of this folder lives at port {kept}, and its connections name that address; it can't move to {asked}"
    )]
    Moved { part: &'static str, kept: u16, asked: u16 },
    #[error("no port is free")]
    NoneFree(#[source] std::io::Error),
}

impl AskedPorts {
    /// The ports of this start. An org stays where it was: its address is part of every connection to it.
    pub(crate) fn choose(self, last: Ports) -> Result<Ports, PortError> {
        let mut free = FreePorts::default();
        Ok(Ports {
            control_plane: free.definite(again(self.control_plane, last.control_plane))?,
            org: free.definite(stay("org", self.org, last.org, ORG)?)?,
            sandbox: free.definite(stay("sandbox org", self.sandbox, last.sandbox, SANDBOX)?)?,
            mesh: free.definite(again(self.mesh, last.mesh))?,
            app: free.definite(again(self.app, last.app))?,
            // Chosen where they are opened.
            tls: last.tls,
            proxy: last.proxy,
        })
    }
}

fn stay(part: &'static str, asked: Option<u16>, kept: u16, default: u16) -> Result<u16, PortError> {
    match (asked, kept) {
        (Some(asked), 0) => Ok(asked),
        (None, 0) => Ok(default),
        (None | Some(0), kept) => Ok(kept),
        (Some(asked), kept) if asked == kept => Ok(kept),
        (Some(asked), kept) => Err(PortError::Moved { part, kept, asked }),
    }
}

/// Any free port is that of the last start, when it is free.
pub(super) fn again(asked: u16, last: u16) -> u16 {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    if asked == 0 && last != 0 && free(last) { last } else { asked }
}

/// Chooses ports before anything listens there, since the parts are told of each other first. Each is held until all are chosen,
/// so that no two parts are given the same.
#[derive(Debug, Default)]
struct FreePorts(Vec<TcpListener>);

impl FreePorts {
    fn definite(&mut self, port: u16) -> Result<u16, PortError> {
        if port != 0 {
            return Ok(port);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(PortError::NoneFree)?;
        let port = listener.local_addr().map_err(PortError::NoneFree)?.port();
        self.0.push(listener);
        Ok(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_org_stays_where_its_connections_find_it() {
        assert_eq!(stay("org", None, 0, ORG).unwrap(), 7701);
        assert_eq!(stay("org", Some(9000), 0, ORG).unwrap(), 9000);
        for asked in [None, Some(0), Some(36247)] {
            assert_eq!(stay("org", asked, 36247, ORG).unwrap(), 36247);
        }
        let moved = stay("org", Some(7701), 36247, ORG).unwrap_err().to_string();
        assert!(moved.contains("lives at port 36247"), "{moved}");
    }
}
