//! Everything that is measured, and what stands around it.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::Workshop;
use super::process::{Running, wait_for_port};

/// Ports of the run; nothing else uses these.
pub(crate) const APP: u16 = 17_001;
const SERVICE: u16 = 17_002;
pub(crate) const NGINX_PROXY: u16 = 17_003;
const NGINX_AUTH: u16 = 17_004;
pub(crate) const MESH: u16 = 17_005;

/// What a request is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Target {
    /// The app itself.
    Direct,
    /// nginx as a plain reverse proxy.
    Nginx,
    /// nginx that asks a local stub about each request.
    NginxAuth,
    /// The mesh with every route open.
    Bypass,
    /// The mesh verifying every request's own token.
    Verifying,
}

impl Target {
    pub(crate) const ALL: [Self; 5] =
        [Self::Direct, Self::Nginx, Self::NginxAuth, Self::Bypass, Self::Verifying];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "app, directly",
            Self::Nginx => "nginx, plain proxy",
            Self::NginxAuth => "nginx, auth_request",
            Self::Bypass => "mesh, bypassing",
            Self::Verifying => "mesh, verifying",
        }
    }

    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Direct => APP,
            Self::Nginx => NGINX_PROXY,
            Self::NginxAuth => NGINX_AUTH,
            Self::Bypass | Self::Verifying => MESH,
        }
    }

    /// Starts it anew; the app stays up.
    pub(crate) fn start(self, workshop: &Workshop) -> Result<Option<Running>> {
        let running = match self {
            Self::Direct => return Ok(None),
            Self::Nginx | Self::NginxAuth => nginx(workshop)?,
            Self::Bypass => mesh(workshop, true)?,
            Self::Verifying => mesh(workshop, false)?,
        };
        wait_for_port(self.port())?;
        if self == Self::Verifying {
            // Its first poll of the trust bundle begins before it listens and takes a moment.
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        Ok(Some(running))
    }
}

/// The app and the control plane.
pub(crate) struct Peers {
    running: Running,
    key: String,
}

impl Peers {
    pub(crate) fn start(workshop: &Workshop) -> Result<Self> {
        let key = workshop.file("key.der").display().to_string();
        let mut command = Command::new(workshop.built("examples/bench_peers"));
        command.args(["serve", &key, &APP.to_string(), &SERVICE.to_string()]);
        let running = Running::start(command, "the app and control plane of the benchmark")?;
        wait_for_port(APP)?;
        wait_for_port(SERVICE)?;
        Ok(Self { running, key })
    }

    /// Seconds of processor time used so far.
    pub(crate) fn cpu(&self) -> f64 {
        self.running.cpu()
    }

    /// Signs requests into the file that the generator reads.
    pub(crate) fn sign(&self, workshop: &Workshop, count: usize) -> Result<()> {
        let file = workshop.file("requests");
        let signed = Command::new(workshop.built("examples/bench_peers"))
            .args(["sign", &self.key, &count.to_string()])
            .arg(&file)
            .status()
            .context("signing requests")?;
        if !signed.success() {
            bail!("the requests could not be signed");
        }
        Ok(())
    }
}

/// The mesh as it is shipped, with its access log on, which goes to a file nobody reads.
pub(crate) fn mesh(workshop: &Workshop, bypass: bool) -> Result<Running> {
    let program = std::fs::canonicalize(workshop.built("applink-mesh")).context("finding the mesh")?;
    let log = std::fs::File::create(workshop.file("mesh.log")).context("making the mesh's log")?;
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("HEROKU_APPLINK_API_URL", format!("http://127.0.0.1:{SERVICE}/addons/bench"))
        .env("HEROKU_APPLINK_TOKEN", "bench")
        .env("PORT", MESH.to_string())
        .env("APP_PORT", APP.to_string())
        .env("APPLINK_MESH_METRICS", "off")
        .env("HEROKU_APPLINK_SERVICE_MESH_BYPASS_ALL_ROUTES", bypass.to_string())
        .current_dir(&workshop.folder)
        .stdout(Stdio::null())
        .stderr(log);
    Running::start(command, "the mesh")
}

fn nginx(workshop: &Workshop) -> Result<Running> {
    let folder = std::fs::canonicalize(&workshop.folder).context("finding target/bench-mesh")?;
    let file = folder.join("nginx.conf");
    std::fs::write(&file, nginx_config(&folder.display().to_string())?).context("writing nginx.conf")?;
    let program = crate::tools::find_program(&["nginx"]).unwrap_or_else(|| "/usr/sbin/nginx".into());
    let mut command = Command::new(program);
    command.arg("-c").arg(&file).arg("-p").arg(&folder).stderr(Stdio::null());
    Running::start(command, "nginx")
}

fn nginx_config(folder: &str) -> Result<String> {
    let mut servers = String::new();
    for (port, auth) in [(NGINX_PROXY, ""), (NGINX_AUTH, "auth_request /_auth;")] {
        write!(
            servers,
            "server {{ listen 127.0.0.1:{port} backlog=4096; keepalive_requests 100000000;
  location / {{ {auth} proxy_pass http://app; }}
  location = /_auth {{ internal; proxy_pass http://service/; proxy_pass_request_body off;
    proxy_set_header Content-Length \"\"; proxy_set_header Connection \"\"; }} }}\n"
        )?;
    }
    Ok(format!(
        "worker_processes 2; daemon off; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 8192; }}
http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
uwsgi_temp_path {folder}; scgi_temp_path {folder}; client_max_body_size 0; large_client_header_buffers 8 32k;
proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_request_buffering off; proxy_buffering on;
upstream app {{ server 127.0.0.1:{APP}; keepalive 256; keepalive_requests 100000000; }}
upstream service {{ server 127.0.0.1:{SERVICE}; keepalive 256; keepalive_requests 100000000; }}
{servers}}}\n"
    ))
}
