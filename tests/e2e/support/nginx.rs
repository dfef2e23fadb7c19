//! nginx as a backend: one process that dies with the lab.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use foobar_lb_tests::{Child, Lab, topology::BackendHost, wait_until};

/// Every backend's configuration.
const CONFIG: &str = include_str!("nginx.conf");
/// How long nginx may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running nginx, which names itself by its address.
#[derive(Debug)]
pub struct Nginx {
    folder: PathBuf,
    _process: Child,
}

impl Nginx {
    /// Starts nginx on a backend's port 80, and returns when it listens. It serves the files of
    /// [`www`].
    pub fn start(lab: &Lab, host: &BackendHost) -> Result<Self> {
        let name = format!("nginx-{}", host.address);
        let folder = lab.dir().join(&name);
        fs::create_dir_all(folder.join("upload"))?;
        fs::create_dir_all(www(lab))?;
        let config = folder.join("nginx.conf");
        fs::write(&config, CONFIG)?;
        let mut command = host.ns.command("nginx");
        command.args(["-e", "stderr", "-p"]).arg(&folder).arg("-c").arg(&config);
        let mut process = Child::spawn(lab, &name, &mut command)?;
        let endpoint = host.endpoint(80);
        wait_until("nginx to listen", START_TIMEOUT, || {
            let tail = process.log_tail(5);
            host.ns.enter(|| TcpStream::connect(endpoint))?.with_context(|| format!("log: {tail}"))
        })?;
        anyhow::ensure!(process.is_running(), "nginx ended: {}", process.log_tail(5));
        Ok(Self { folder, _process: process })
    }

    /// The access log's lines; the format is in `nginx.conf`.
    pub fn access_log(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(self.folder.join("access.log")).context("the access log")?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Where an upload of this name lands.
    pub fn upload(&self, name: &str) -> PathBuf {
        self.folder.join("upload").join(name)
    }
}

/// The folder of the files that every nginx of the lab serves.
pub fn www(lab: &Lab) -> PathBuf {
    lab.dir().join("www")
}

/// Makes a file of random bytes, of whole mebibytes.
pub fn random_file(path: &Path, mebibytes: u64) -> Result<()> {
    use std::io::Read as _;
    let mut source = fs::File::open("/dev/urandom")?.take(mebibytes << 20);
    let mut file = fs::File::create(path).with_context(|| format!("{}", path.display()))?;
    std::io::copy(&mut source, &mut file)?;
    Ok(())
}
