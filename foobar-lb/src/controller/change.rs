//! Changes by request and by reload. One order for all: check, plan, store, then apply; what fails
//! before the store leaves everything as it was.

use crate::{
    api::types::{BackendChange, Changed, EventKind, NewBackend, NewService},
    config::{
        self, LoadError,
        edit::{Edit, EditError},
    },
    model::{BackendId, Config, Endpoint, Service},
    text::count,
};

use super::{ChangeError, Controller, Request, start::known_health};

impl Controller {
    /// Carries out a request that changes the configuration.
    pub(super) fn change(&mut self, request: Request) -> Result<Changed, ChangeError> {
        let (edit, done) = match request {
            Request::AddService(new) => {
                let service = read_service(&new)?;
                let done = format!("service {} added", service.name);
                (add_service(service), done)
            }
            Request::RemoveService(name) => {
                let done = format!("service {name} removed");
                (Edit::RemoveService { name }, done)
            }
            Request::AddBackend { service, backend } => self.add_backend(service, &backend)?,
            Request::RemoveBackend { service, backend } => {
                let endpoint = self.endpoint(&service, &backend)?;
                let done = format!("backend {service}/{endpoint} removed");
                (Edit::RemoveBackend { service, endpoint }, done)
            }
            Request::SetBackend { service, backend, change } => {
                self.set_backend(service, &backend, change)?
            }
            Request::Status | Request::Stats | Request::Reload | Request::Unload => {
                return Err(ChangeError::Invalid("this is not a change".to_owned()));
            }
        };
        self.edit(&edit)?;
        self.log.push(EventKind::Config, done.clone());
        Ok(self.changed(&done))
    }

    fn add_backend(
        &self,
        service: String,
        backend: &NewBackend,
    ) -> Result<(Edit, String), ChangeError> {
        let &NewBackend { address, port, weight, state } = backend;
        let port = port.or_else(|| self.service(&service).map(|s| s.endpoint.port)).unwrap_or(0);
        let endpoint = Endpoint { address, port };
        let done = format!("backend {service}/{endpoint} added");
        Ok((Edit::AddBackend { service, endpoint, weight, state }, done))
    }

    fn set_backend(
        &self,
        service: String,
        backend: &str,
        change: BackendChange,
    ) -> Result<(Edit, String), ChangeError> {
        let endpoint = self.endpoint(&service, backend)?;
        let BackendChange { weight, state } = change;
        let mut parts = Vec::new();
        parts.extend(weight.map(|weight| format!("weight {weight}")));
        parts.extend(state.map(|state| format!("state {state}")));
        if parts.is_empty() {
            return Err(ChangeError::Invalid(
                "nothing to change: give a weight, a state, or both".to_owned(),
            ));
        }
        let id = BackendId { service: service.clone(), endpoint };
        let done = format!("backend {id}: {}", parts.join(", "));
        Ok((Edit::SetBackend { service, endpoint, weight, state }, done))
    }

    /// Edits the file's text, and puts it in force.
    fn edit(&mut self, edit: &Edit) -> Result<(), ChangeError> {
        let old = self.file.text.as_deref();
        let text = config::edit::apply(old.unwrap_or_default(), edit).map_err(edit_error)?;
        let config = config::parse(&text, &self.file.path.display().to_string())
            .map_err(|errors| ChangeError::Invalid(errors.summary()))?;
        self.plan(&config)
            .map_err(|error| ChangeError::Conflict(format!("nothing was changed: {error}")))?;
        config::store(&self.file.path, old, &text).map_err(|error| match error {
            config::StoreError::Conflict { .. } => ChangeError::Conflict(format!(
                "nothing was changed: {error} (`foobar-lb reload` loads it)"
            )),
            other => ChangeError::Failed(format!("nothing was changed: {other}")),
        })?;
        self.put_in_force(text, config);
        match &self.fault {
            None => Ok(()),
            Some(fault) => Err(ChangeError::Failed(format!(
                "the change is in the file, but the kernel refused it and it is being tried \
                 again: {fault}"
            ))),
        }
    }

    /// Reads the file again. A file with errors changes nothing.
    pub(super) fn reload(&mut self) -> Result<Changed, ChangeError> {
        match self.try_reload() {
            Ok(done) => {
                self.log.push(EventKind::Config, done.clone());
                Ok(self.changed(&done))
            }
            Err(error) => {
                let text = error.to_string();
                let line = text.lines().next().unwrap_or_default();
                self.log.warn(
                    EventKind::Config,
                    format!("the configuration was not reloaded, the last good one stays: {line}"),
                );
                self.file.error = Some(text);
                Err(error)
            }
        }
    }

    fn try_reload(&mut self) -> Result<String, ChangeError> {
        let (text, config) = config::load(&self.file.path).map_err(|error| {
            ChangeError::Invalid(match error {
                // One line an error: this goes to logs, events and programs.
                LoadError::Invalid(errors) => errors.lines().collect::<Vec<_>>().join("\n"),
                other => other.to_string(),
            })
        })?;
        if config.limits != self.config.limits {
            return Err(ChangeError::Conflict(format!(
                "{}: [limits] sizes the kernel's maps and cannot change while they are loaded; \
                 restore it, or run `foobar-lb unload` and start anew",
                self.file.path.display()
            )));
        }
        if config == self.config {
            self.file.text = Some(text);
            self.file.error = None;
            return Ok("the configuration was reloaded: nothing differs".to_owned());
        }
        self.plan(&config).map_err(|error| ChangeError::Conflict(error.to_string()))?;
        self.put_in_force(text, config);
        let Config { services, .. } = &self.config;
        let backends: usize = services.iter().map(|service| service.backends.len()).sum();
        Ok(format!(
            "the configuration was reloaded: {}, {}",
            count(services.len(), "service"),
            count(backends, "backend")
        ))
    }

    /// Puts a configuration that can be planned in force. Backends that take flows now go on doing
    /// so until their probes say otherwise, also where the probe or the service's name is new.
    fn put_in_force(&mut self, text: String, config: Config) {
        self.file.text = Some(text);
        self.file.error = None;
        self.file.revision += 1;
        let sysctls = config.manage_sysctls && !self.config.manage_sysctls;
        self.config = config;
        self.monitor.seed(known_health(&self.config, &self.image));
        self.reconcile();
        if sysctls {
            self.ensure_sysctls();
        }
        self.replan();
    }

    pub(super) fn changed(&self, done: &str) -> Changed {
        Changed { revision: self.file.revision, done: done.to_owned() }
    }

    fn service(&self, name: &str) -> Option<&Service> {
        self.config.services.iter().find(|service| service.name == name)
    }

    /// Reads `ADDRESS[:PORT]`; the port is the service's unless given.
    fn endpoint(&self, service: &str, text: &str) -> Result<Endpoint, ChangeError> {
        if let Ok(endpoint) = text.parse() {
            return Ok(endpoint);
        }
        if let (Ok(address), Some(service)) = (text.parse(), self.service(service)) {
            return Ok(Endpoint { address, port: service.endpoint.port });
        }
        match self.service(service) {
            None => Err(edit_error(EditError::ServiceNotFound {
                name: service.to_owned(),
                hint: "`foobar-lb service list` names those there are".to_owned(),
            })),
            Some(_) => Err(ChangeError::Invalid(format!(
                "`{text}` is not an IPv4 address with or without a port, like 10.0.0.11:8080"
            ))),
        }
    }
}

/// Reads a new service with the configuration file's own rules and defaults: its keys are the
/// file's.
fn read_service(new: &NewService) -> Result<Service, ChangeError> {
    #[derive(serde::Serialize)]
    struct Document<'a> {
        service: [&'a NewService; 1],
    }
    let failed = |error: toml::ser::Error| ChangeError::Failed(error.to_string());
    let text = toml::to_string(&Document { service: [new] }).map_err(failed)?;
    let config = config::parse(&text, "the request").map_err(|errors| {
        let reasons: Vec<_> =
            errors.errors.iter().map(|e| format!("{}; {}", e.message, e.cure)).collect();
        ChangeError::Invalid(reasons.join(". "))
    })?;
    config
        .services
        .into_iter()
        .next()
        .ok_or_else(|| ChangeError::Failed("the request holds no service".to_owned()))
}

fn add_service(service: Service) -> Edit {
    let Service { name, protocol, endpoint, scheduler, forward, probe, backends: _ } = service;
    Edit::AddService { name, protocol, endpoint, scheduler, forward, probe }
}

fn edit_error(error: EditError) -> ChangeError {
    let text = error.to_string();
    match error {
        EditError::ServiceNotFound { .. } | EditError::BackendNotFound { .. } => {
            ChangeError::NotFound(text)
        }
        EditError::ServiceExists { .. }
        | EditError::BackendExists(_)
        | EditError::Broken(_)
        | EditError::Unsupported { .. } => ChangeError::Conflict(text),
        EditError::Refused(_) => ChangeError::Invalid(text),
    }
}
