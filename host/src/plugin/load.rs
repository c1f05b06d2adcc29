//! From a file's bytes to code that can be served: every step refuses in words that name
//! the cause and the remedy. Knows nothing of directories.

use std::time::Duration;

use wasmtime::component::{Component, InstancePre};

use super::bindings::{PluginPre, exports::agent_service::domain::aggregates as wit};
use super::cache::Origin;
use super::code::{compiled, component};
use super::compile::one_line;
use super::engine::PluginEngine;
use super::instance::WasmInstance;
use super::sandbox::{Sandbox, imports, is_allowed};
use crate::domain::{Description, Digest, Generation, Instance, MessageType, PluginError};
use crate::name::{IdFormat, Name, printable};

/// The interface a plugin exports, as `wit/` has it.
const INTERFACE: &str = "agent-service:domain/aggregates";
/// The versions of it that this host serves.
const SERVED_VERSIONS: [&str; 1] = ["1.0.0"];
/// Most command or event types of one domain.
const MESSAGE_TYPES_MAX: usize = 256;
/// Longest version text in bytes; it is stored with every event.
const VERSION_BYTES_MAX: usize = 64;

/// A plugin that is loaded and proven to be one.
#[derive(Clone)]
pub struct Plugin {
    engine: PluginEngine,
    code: PluginPre<Sandbox>,
    description: Description,
    digest: Digest,
    size: usize,
    interface: String,
    imports: Vec<String>,
    code_origin: Origin,
}

impl Plugin {
    /// Checks, compiles and describes a component.
    ///
    /// # Errors
    /// [`LoadError`] names what is wrong with it and what to do.
    pub fn load(engine: &PluginEngine, bytes: &[u8]) -> Result<Self, LoadError> {
        check_form(bytes, engine.limits.file_bytes_max)?;
        let digest = Digest::of(bytes);
        let (component, code_origin) = component(engine, bytes, digest)?;
        Self::of(engine, bytes, digest, &component, code_origin)
    }

    /// The same without the compiler: nothing where the engine's cache does not have its code.
    ///
    /// # Errors
    /// The same.
    pub fn load_compiled(engine: &PluginEngine, bytes: &[u8]) -> Result<Option<Self>, LoadError> {
        check_form(bytes, engine.limits.file_bytes_max)?;
        let digest = Digest::of(bytes);
        let component = compiled(engine, digest);
        component.map(|component| Self::of(engine, bytes, digest, &component, Origin::Cached)).transpose()
    }

    fn of(
        engine: &PluginEngine,
        bytes: &[u8],
        digest: Digest,
        component: &Component,
        code_origin: Origin,
    ) -> Result<Self, LoadError> {
        let interface = served_interface(component, engine)?;
        let imports = imports(component, &engine.engine);
        let foreign: Vec<String> = imports.iter().filter(|name| !is_allowed(name)).cloned().collect();
        if !foreign.is_empty() {
            return Err(LoadError::ForbiddenImports(foreign.join(", ")));
        }
        let code = link(engine, component)?;
        let description = describe(engine, &code)?;
        Ok(Self {
            engine: engine.clone(),
            code,
            description,
            digest,
            size: bytes.len(),
            interface,
            imports,
            code_origin,
        })
    }

    /// Whether it had to be compiled.
    pub fn code_origin(&self) -> Origin {
        self.code_origin
    }

    /// The names of what it imports.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// The interface it exports, with its version.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The file's size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }
}

impl Generation for Plugin {
    fn description(&self) -> &Description {
        &self.description
    }

    fn digest(&self) -> Digest {
        self.digest
    }

    fn instantiate(&self) -> Result<Box<dyn Instance>, PluginError> {
        Ok(Box::new(WasmInstance::start(&self.engine, &self.code, &self.description)?))
    }
}

/// Why a file does not become a plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Larger than allowed.
    #[error("it has {size} bytes, at most {max} are taken")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// No WebAssembly at all.
    #[error("it is no WebAssembly component: build the plugin with `cargo build --target wasm32-wasip2`")]
    NotWasm,
    /// A core module.
    #[error("it is a WebAssembly module, not a component: build the plugin with `cargo build --target wasm32-wasip2`")]
    NotAComponent,
    /// Damaged, or with features that are not served.
    #[error("it cannot be compiled ({0}): is the file complete?")]
    NotCompiled(String),
    /// Took longer to compile than allowed.
    #[error("it was not compiled within {}: make the plugin smaller, or raise PLUGIN_COMPILE_TIME_MAX", humantime::format_duration(*.0))]
    CompileTimeout(Duration),
    /// Could not be compiled, since the compiler is still at work on something given up.
    #[error("the compiler was not free within {}, a plugin that took too long is still being compiled: load this one again later, or restart the service without the other", humantime::format_duration(*.0))]
    CompilerOccupied(Duration),
    /// Its machine code is larger than allowed.
    #[error("its machine code has {size} bytes, at most {max} are served: make the plugin smaller")]
    CodeTooLarge {
        /// The code's size in bytes.
        size: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Exports something else.
    #[error("it does not export {INTERFACE}, it exports {0}: a plugin is built with the guest SDK")]
    OtherInterface(String),
    /// Exports a version of the interface that is not served.
    #[error("it exports {0}, this host serves the versions {served}: build it with a guest SDK of that version", served = SERVED_VERSIONS.join(", "))]
    OtherVersion(String),
    /// Imports what plugins may not have.
    #[error("it imports {0}, which plugins may not: a plugin gets everything it needs with the command")]
    ForbiddenImports(String),
    /// Its imports or exports have other types than the interface says.
    #[error("it does not fit the interface: {0}")]
    Mismatch(String),
    /// It fails when asked what it is.
    #[error("it fails when asked what it is: {0}")]
    NotDescribed(PluginError),
    /// It describes itself in a way that cannot be served.
    #[error("its description cannot be served: {0}")]
    BadDescription(String),
    /// The engine itself fails.
    #[error("the component engine fails: {0}")]
    Engine(String),
}

impl LoadError {
    pub(super) fn engine(error: wasmtime::Error) -> Self {
        Self::Engine(one_line(&error))
    }
}

fn check_form(bytes: &[u8], bytes_max: usize) -> Result<(), LoadError> {
    /// Magic and layer of a WebAssembly binary: 1 is a component.
    const COMPONENT_LAYER: [u8; 2] = [1, 0];
    if bytes.len() > bytes_max {
        return Err(LoadError::TooLarge { size: bytes.len(), max: bytes_max });
    }
    match bytes.get(..8) {
        Some([b'\0', b'a', b's', b'm', _, _, layer @ ..]) if *layer == COMPONENT_LAYER => Ok(()),
        Some([b'\0', b'a', b's', b'm', ..]) => Err(LoadError::NotAComponent),
        _ => Err(LoadError::NotWasm),
    }
}

/// The served interface that the component exports.
fn served_interface(component: &Component, engine: &PluginEngine) -> Result<String, LoadError> {
    let exports: Vec<String> =
        component.component_type().exports(&engine.engine).map(|(name, _)| name.to_owned()).collect();
    let versions = exports.iter().filter_map(|name| name.split_once('@')).filter(|(name, _)| *name == INTERFACE);
    let found: Vec<&str> = versions.map(|(_, version)| version).collect();
    match found[..] {
        [version] if SERVED_VERSIONS.contains(&version) => Ok(format!("{INTERFACE}@{version}")),
        [version] => Err(LoadError::OtherVersion(format!("{INTERFACE}@{version}"))),
        [] if exports.is_empty() => Err(LoadError::OtherInterface("nothing".into())),
        [] => Err(LoadError::OtherInterface(exports.join(", "))),
        _ => Err(LoadError::OtherVersion(format!("{INTERFACE} in several versions"))),
    }
}

fn link(engine: &PluginEngine, component: &Component) -> Result<PluginPre<Sandbox>, LoadError> {
    let mismatch = |error: wasmtime::Error| LoadError::Mismatch(one_line(&error));
    let linked: InstancePre<Sandbox> = engine.linker.instantiate_pre(component).map_err(mismatch)?;
    PluginPre::new(linked).map_err(mismatch)
}

fn describe(engine: &PluginEngine, code: &PluginPre<Sandbox>) -> Result<Description, LoadError> {
    let told = WasmInstance::describe(engine, code).map_err(LoadError::NotDescribed)?;
    let bad = LoadError::BadDescription;
    let domain = Name::new(&told.domain).map_err(|error| bad(format!("domain {error}")))?;
    let version_fits = (1..=VERSION_BYTES_MAX).contains(&told.version.len())
        && told.version.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+_".contains(&b));
    if !version_fits {
        return Err(bad(format!("`{}` is no version: use a semantic version", printable(&told.version))));
    }
    if told.id_field.is_empty() || told.id_field.len() > VERSION_BYTES_MAX {
        return Err(bad(format!("`{}` is no name of an id field", printable(&told.id_field))));
    }
    if told.commands.is_empty() {
        return Err(bad("it takes no commands".into()));
    }
    Ok(Description {
        domain,
        version: told.version,
        state_schema: told.state_schema,
        id_field: told.id_field,
        id_format: match told.id_format {
            wit::IdFormat::Token => IdFormat::Token,
            wit::IdFormat::Uuid => IdFormat::Uuid,
        },
        commands: message_types("command", told.commands)?,
        events: message_types("event", told.events)?,
    })
}

fn message_types(kind: &str, told: Vec<wit::MessageType>) -> Result<Vec<MessageType>, LoadError> {
    let bad = LoadError::BadDescription;
    if told.len() > MESSAGE_TYPES_MAX {
        return Err(bad(format!("it has {} {kind}s, at most {MESSAGE_TYPES_MAX} are served", told.len())));
    }
    let mut types: Vec<MessageType> = Vec::with_capacity(told.len());
    for one in told {
        let name = Name::new(&one.name).map_err(|error| bad(format!("{kind} {error}")))?;
        if types.iter().any(|t| t.name == name) {
            return Err(bad(format!("{kind} `{name}` is there twice")));
        }
        let schema = serde_json::from_str(&one.schema)
            .map_err(|error| bad(format!("the schema of {kind} `{name}` is not JSON: {error}")))?;
        types.push(MessageType { name, description: one.description, schema });
    }
    Ok(types)
}
