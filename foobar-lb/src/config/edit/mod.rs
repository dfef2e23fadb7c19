//! Changes to a configuration file that leave everything else of it, comments and order included,
//! byte for byte as it was.
//!
//! An edit is made twice: on the model and on the text. The text is handed out only if parsing it
//! gives the changed model, so a file of an unforeseen shape is refused, never damaged.
#![forbid(unsafe_code)]

mod apply;
mod layout;
mod lines;
mod list;
mod text;

use crate::model::{
    AdminState, Backend, BackendId, Config, Endpoint, ForwardMode, Probe, Protocol, Scheduler,
    Service,
};

use super::{
    ConfigErrors, Diagnostic, parse,
    suggest::{all, near},
};

/// Names that an error lists at the most.
const LISTED: usize = 8;

/// One change to the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A new service without backends, at the end.
    AddService {
        /// Not in use yet.
        name: String,
        /// TCP or UDP.
        protocol: Protocol,
        /// Where clients reach it.
        endpoint: Endpoint,
        /// How a new flow finds its backend.
        scheduler: Scheduler,
        /// How packets reach the backend.
        forward: ForwardMode,
        /// How backends are probed.
        probe: Option<Probe>,
    },
    /// A service and its backends go.
    RemoveService {
        /// The service.
        name: String,
    },
    /// A new backend, the last of its service.
    AddBackend {
        /// The service.
        service: String,
        /// Where the backend listens; not in use in this service yet.
        endpoint: Endpoint,
        /// Its weight.
        weight: u32,
        /// Its administrative state.
        state: AdminState,
    },
    /// A backend goes.
    RemoveBackend {
        /// The service.
        service: String,
        /// The backend.
        endpoint: Endpoint,
    },
    /// A backend's weight or state changes; `None` leaves it as it is.
    SetBackend {
        /// The service.
        service: String,
        /// The backend.
        endpoint: Endpoint,
        /// The new weight.
        weight: Option<u32>,
        /// The new administrative state.
        state: Option<AdminState>,
    },
}

/// Why an edit was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text had errors before the edit.
    #[error("the configuration has errors already; correct them first: {}", .0.summary())]
    Broken(ConfigErrors),
    /// There is no such service.
    #[error("there is no service `{name}`; {hint}")]
    ServiceNotFound {
        /// As asked for.
        name: String,
        /// What there is instead.
        hint: String,
    },
    /// The service has no such backend.
    #[error("the service `{}` has no backend {}; {hint}", .backend.service, .backend.endpoint)]
    BackendNotFound {
        /// As asked for.
        backend: BackendId,
        /// What there is instead.
        hint: String,
    },
    /// There is a service of this name.
    #[error("there is already a service `{name}`; choose another name, or remove that one first")]
    ServiceExists {
        /// As asked for.
        name: String,
    },
    /// The service has this backend.
    #[error(
        "the service `{}` has the backend {} already; change it with `foobar-lb backend set`",
        .0.service, .0.endpoint
    )]
    BackendExists(BackendId),
    /// The configuration would be wrong afterwards. The places are those of the text that was not
    /// handed out, and say nothing to the caller.
    #[error("the change is not possible: {}", reasons(.0))]
    Refused(Vec<Diagnostic>),
    /// The file is valid, and written in a way that cannot be edited without risk.
    #[error(
        "the file is written in a way that cannot be edited safely; make the change by hand \
         ({what}), then reload"
    )]
    Unsupported {
        /// The change in a few words.
        what: String,
    },
}

fn reasons(errors: &[Diagnostic]) -> String {
    let reasons: Vec<String> =
        errors.iter().map(|error| format!("{} ({})", error.message, error.cure)).collect();
    reasons.join("; ")
}

/// Makes one edit: the new text, or why not. The text as it was, if the edit changes nothing.
///
/// # Errors
///
/// The service or backend is not there (or is already), the result would not be a valid
/// configuration, or the text was not one before.
pub fn apply(text: &str, edit: &Edit) -> Result<String, EditError> {
    let before = parse(text, "the configuration").map_err(EditError::Broken)?;
    let mut after = before.clone();
    change(&mut after, edit)?;
    if after == before {
        return Ok(text.to_owned());
    }
    let unsupported = || EditError::Unsupported { what: edit.to_string() };
    let new = apply::apply(text, &before, edit).ok_or_else(unsupported)?;
    match parse(&new, "the configuration") {
        Ok(config) if config == after => Ok(new),
        Ok(_) => Err(unsupported()),
        Err(errors) => Err(EditError::Refused(errors.errors)),
    }
}

/// The edit on the model. The result need not be valid: that is for [`parse`] to find out.
pub(super) fn change(config: &mut Config, edit: &Edit) -> Result<(), EditError> {
    match edit.clone() {
        Edit::AddService { name, protocol, endpoint, scheduler, forward, probe } => {
            if config.services.iter().any(|service| service.name == name) {
                return Err(EditError::ServiceExists { name });
            }
            let backends = Vec::new();
            config.services.push(Service {
                name,
                protocol,
                endpoint,
                scheduler,
                forward,
                probe,
                backends,
            });
        }
        Edit::RemoveService { name } => {
            let at = find_service(config, &name)?;
            config.services.remove(at);
        }
        Edit::AddBackend { service, endpoint, weight, state } => {
            let at = find_service(config, &service)?;
            let backends = &mut config.services[at].backends;
            if backends.iter().any(|backend| backend.endpoint == endpoint) {
                return Err(EditError::BackendExists(BackendId { service, endpoint }));
            }
            backends.push(Backend { endpoint, weight, state });
        }
        Edit::RemoveBackend { service, endpoint } => {
            let (at, backend) = find_backend(config, service, endpoint)?;
            config.services[at].backends.remove(backend);
        }
        Edit::SetBackend { service, endpoint, weight, state } => {
            let (at, backend) = find_backend(config, service, endpoint)?;
            let backend = &mut config.services[at].backends[backend];
            backend.weight = weight.unwrap_or(backend.weight);
            backend.state = state.unwrap_or(backend.state);
        }
    }
    Ok(())
}

fn find_service(config: &Config, name: &str) -> Result<usize, EditError> {
    let names = || config.services.iter().map(|service| service.name.as_str());
    names().position(|known| known == name).ok_or_else(|| EditError::ServiceNotFound {
        name: name.to_owned(),
        hint: match near(name, names()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => known("the", "services", &names().map(str::to_owned).collect::<Vec<_>>()),
        },
    })
}

fn find_backend(
    config: &Config,
    service: String,
    endpoint: Endpoint,
) -> Result<(usize, usize), EditError> {
    let at = find_service(config, &service)?;
    let backends = &config.services[at].backends;
    match backends.iter().position(|backend| backend.endpoint == endpoint) {
        Some(backend) => Ok((at, backend)),
        None => {
            let endpoints: Vec<_> = backends.iter().map(|b| b.endpoint.to_string()).collect();
            let hint = known("its", "backends", &endpoints);
            Err(EditError::BackendNotFound { backend: BackendId { service, endpoint }, hint })
        }
    }
}

/// What there is, for the hint of an error.
fn known(whose: &str, what: &str, names: &[String]) -> String {
    match names.len() {
        0 => format!("there are no {what} yet"),
        n if n > LISTED => {
            format!("{whose} {n} {what} begin with {}", all(&names[..LISTED]))
        }
        _ => format!("{whose} {what}: {}", all(names)),
    }
}

impl std::fmt::Display for Edit {
    /// The change in a few words, for messages and logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AddService { name, protocol, endpoint, .. } => {
                write!(f, "add the service {name} on {protocol} {endpoint}")
            }
            Self::RemoveService { name } => write!(f, "remove the service {name}"),
            Self::AddBackend { service, endpoint, .. } => {
                write!(f, "add the backend {service}/{endpoint}")
            }
            Self::RemoveBackend { service, endpoint } => {
                write!(f, "remove the backend {service}/{endpoint}")
            }
            Self::SetBackend { service, endpoint, weight, state } => {
                write!(f, "set the backend {service}/{endpoint}")?;
                if let Some(weight) = weight {
                    write!(f, " weight {weight}")?;
                }
                if let Some(state) = state {
                    write!(f, " state {state}")?;
                }
                Ok(())
            }
        }
    }
}
