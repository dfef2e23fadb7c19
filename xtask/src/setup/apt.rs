//! A private APT beside the system's: the machine's own Debian source, other suites.
//!
//! The system's lists, caches and sources are read at the most, never written.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::shell;

/// Suites that hold many releases of Rust: stable's backports, testing, unstable.
const SUITES: [&str; 3] = ["trixie-backports", "forky", "sid"];

/// Where a machine gets Debian from, and the key that signs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    uri: String,
    signed_by: Option<String>,
}

impl Source {
    /// The first Debian archive among the machine's APT sources.
    pub fn of_this_machine() -> Result<Self> {
        let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
        if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
            let mut parts: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
            parts.sort();
            files.extend(parts);
        }
        let parse = |file: PathBuf| {
            let text = fs::read_to_string(&file).ok()?;
            match file.extension()?.to_str()? {
                "sources" => Self::from_deb822(&text),
                "list" => Self::from_list(&text),
                _ => None,
            }
        };
        files
            .into_iter()
            .find_map(parse)
            .context("this machine has no APT source of a Debian archive")
    }

    /// From the paragraphs of a `.sources` file (sources.list(5), deb822 style).
    fn from_deb822(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        lines.split(|line| line.trim().is_empty()).find_map(|paragraph| {
            let field = |name: &str| {
                let mut fields = paragraph.iter().filter_map(|line| line.split_once(':'));
                fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim())
            };
            if field("Enabled").is_some_and(|value| value.eq_ignore_ascii_case("no"))
                || !field("Types")?.split_whitespace().any(|kind| kind == "deb")
            {
                return None;
            }
            let uri = field("URIs")?.split_whitespace().find(|uri| is_debian(uri))?;
            // An embedded key (its value begins on the next line) cannot be quoted in a list.
            let key = field("Signed-By").filter(|key| key.starts_with('/'));
            Some(Self { uri: uri.to_owned(), signed_by: key.map(str::to_owned) })
        })
    }

    /// From the lines of a `.list` file (sources.list(5), one-line style).
    fn from_list(text: &str) -> Option<Self> {
        text.lines().find_map(|line| {
            let rest = line.trim().strip_prefix("deb ")?.trim_start();
            let (options, rest) = match rest.strip_prefix('[') {
                Some(rest) => rest.split_once(']')?,
                None => ("", rest),
            };
            let uri = rest.split_whitespace().next().filter(|uri| is_debian(uri))?;
            let key = options.split_whitespace().find_map(|o| o.strip_prefix("signed-by="));
            Some(Self { uri: uri.to_owned(), signed_by: key.map(str::to_owned) })
        })
    }

    /// The same source with [`SUITES`], one-line style.
    fn private_list(&self) -> String {
        let Self { uri, signed_by } = self;
        let options = signed_by.as_ref().map_or(String::new(), |key| format!("[signed-by={key}] "));
        SUITES.map(|suite| format!("deb {options}{uri} {suite} main\n")).concat()
    }
}

/// Whether a URI is Debian's main archive: not its security archive, not Ubuntu, not a vendor's.
fn is_debian(uri: &str) -> bool {
    uri.contains("://") && uri.trim_end_matches('/').ends_with("/debian")
}

/// An APT whose sources, lists and caches are below one folder.
pub struct PrivateApt {
    folder: PathBuf,
}

impl PrivateApt {
    /// Makes the folders and the list.
    pub fn new(folder: &Path, source: &Source) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial", "download"] {
            fs::create_dir_all(folder.join(part)).context("cannot make APT's folders")?;
        }
        fs::write(folder.join("sources.list"), source.private_list())
            .context("cannot write APT's list")?;
        Ok(Self { folder: folder.to_path_buf() })
    }

    /// Downloads a package in the version of an upstream release, such as `1.95.0`.
    pub fn download_release(&self, package: &str, release: &str) -> Result<PathBuf> {
        // One suite that is gone is no harm, as long as another has the package.
        let update = shell::read(self.command("apt-get").args(["update", "--quiet=2"]));
        let versions = shell::read(self.command("apt-cache").args(["madison", package]))?;
        let Some(version) = version_of_release(&versions, release) else {
            let none = format!("{} have no {package} {release}", SUITES.join(", "));
            return update.and_then(|_| Err(anyhow::anyhow!("none to be had"))).context(none);
        };
        let folder = self.folder.join("download");
        let mut download = self.command("apt-get");
        download.args(["download", "--quiet=2", &format!("{package}={version}")]);
        shell::read(download.current_dir(&folder))?;
        let files = fs::read_dir(&folder).context("cannot read APT's downloads")?;
        let mut packages = files.flatten().map(|file| file.path());
        packages
            .find(|file| file.extension().is_some_and(|extension| extension == "deb"))
            .context("`apt-get download` left no file")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = shell::command(program);
        let place = |key: &str, part: &str| format!("{key}={}", self.folder.join(part).display());
        for option in [
            place("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=-".to_owned(),
            // The machine's pins are for its own sources.
            "Dir::Etc::preferences=-".to_owned(),
            "Dir::Etc::preferencesparts=-".to_owned(),
            place("Dir::State::lists", "lists"),
            place("Dir::Cache", "cache"),
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }
}

/// The version of a release in the output of `apt-cache madison`: `package | version | source`.
fn version_of_release(madison: &str, release: &str) -> Option<String> {
    let mut versions = madison.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim);
    versions
        .find(|version| {
            let rest = version.strip_prefix(release);
            rest.is_some_and(|rest| rest.starts_with(['+', '-', '~']))
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uri: &str, key: Option<&str>) -> Option<Source> {
        Some(Source { uri: uri.to_owned(), signed_by: key.map(str::to_owned) })
    }

    #[test]
    fn deb822_sources_are_read() {
        let text = "Types: deb\n# URIs: http://s.example/debian\n\
                    URIs: http://a.example/debian-security\n\
                    Suites: x\n\nEnabled: no\nTypes: deb\nURIs: http://b.example/debian\n\n\
                    Types: deb deb-src\nURIs: https://c.example/debian/\n\
                    Suites: x\nSigned-By: /k.gpg\n";
        assert_eq!(Source::from_deb822(text), source("https://c.example/debian/", Some("/k.gpg")));
        assert_eq!(Source::from_deb822("Types: deb\nURIs: http://u.example/ubuntu\n"), None);
    }

    #[test]
    fn one_line_sources_are_read() {
        let text = "# deb http://no.example/debian x main\ndeb http://u.example/ubuntu noble main\n\
                    deb [arch=amd64 signed-by=/k.asc] http://d.example/debian trixie main\n";
        assert_eq!(Source::from_list(text), source("http://d.example/debian", Some("/k.asc")));
        assert_eq!(
            Source::from_list("deb http://e.example/debian x main"),
            source("http://e.example/debian", None)
        );
    }

    #[test]
    fn the_private_list_keeps_uri_and_key() {
        let list = source("http://d.example/debian", Some("/k.asc")).map(|s| s.private_list());
        let first = "deb [signed-by=/k.asc] http://d.example/debian trixie-backports main\n";
        assert!(list.is_some_and(|list| list.starts_with(first)));
    }

    #[test]
    fn only_the_release_itself_is_taken() {
        let madison = " rust-src | 1.96.0+dfsg1-1 | http://d.example/debian sid/main\n \
                       rust-src | 1.95.0+dfsg1-1~bpo13+1 | http://d.example/debian b/main\n";
        assert_eq!(
            version_of_release(madison, "1.95.0").as_deref(),
            Some("1.95.0+dfsg1-1~bpo13+1")
        );
        assert_eq!(version_of_release(madison, "1.95"), None);
        assert_eq!(version_of_release(madison, "1.9"), None);
    }
}
