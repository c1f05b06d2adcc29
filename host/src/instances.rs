//! The plugin instances of one thread, each with a bounded number of aggregates, so that a
//! trap costs few aggregates a refill and memory comes back when an instance is retired. Knows
//! nothing of where aggregates come from.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::activation::Activation;
use crate::domain::{Instance, PluginError};

/// Aggregates one instance takes in over its life. More make a trap dearer, fewer cost a
/// linear memory each.
const AGGREGATES_PER_INSTANCE: usize = 256;

/// The instances of one thread.
pub(crate) struct Instances {
    activation: RefCell<Arc<Activation>>,
    /// The one that still takes aggregates in.
    open: RefCell<Option<Rc<SharedInstance>>>,
    all: RefCell<Vec<Weak<SharedInstance>>>,
    instances_max: usize,
    /// Whether an instance was lost or emptied since somebody last looked.
    swept: Rc<Cell<bool>>,
}

/// What becomes of the aggregates in an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// They stay.
    Home,
    /// Newer code is live: each moves on before its next request.
    UntilUsed,
    /// The instance is to end: the idle ones leave at once.
    Over,
}

impl Instances {
    pub(crate) fn new(activation: Arc<Activation>, aggregates_max: usize) -> Self {
        // Twice what the aggregates fill, since instances empty one aggregate at a time.
        let instances_max = 2 * aggregates_max.div_ceil(AGGREGATES_PER_INSTANCE) + 4;
        Self {
            activation: RefCell::new(activation),
            open: RefCell::default(),
            all: RefCell::default(),
            instances_max,
            swept: Rc::new(Cell::new(true)),
        }
    }

    /// The code that new instances run.
    pub(crate) fn activation(&self) -> Arc<Activation> {
        Arc::clone(&self.activation.borrow())
    }

    /// Lets new instances run other code. Aggregates of the code before move on one by one, as
    /// they are used; those of still older code leave at once, so that two generations at most
    /// are in memory.
    pub(crate) fn activate(&self, activation: Arc<Activation>) {
        *self.activation.borrow_mut() = activation;
        *self.open.borrow_mut() = None;
        for instance in self.all.borrow().iter().filter_map(Weak::upgrade) {
            match instance.stay.get() {
                Stay::Home => instance.stay.set(Stay::UntilUsed),
                Stay::UntilUsed | Stay::Over => {
                    instance.stay.set(Stay::Over);
                    self.swept.set(false);
                }
            }
        }
    }

    /// Starts an instance before the first aggregate needs it. Where that fails, whoever needs it is told.
    pub(crate) fn prepare(&self) {
        if let Ok(instance) = self.admit() {
            instance.admitted.set(instance.admitted.get() - 1);
        }
    }

    /// The instance that takes in the next aggregate.
    pub(crate) fn admit(&self) -> Result<Rc<SharedInstance>, PluginError> {
        if let Some(open) = self.open.borrow().as_ref()
            && !open.is_lost()
            && open.admitted.get() < AGGREGATES_PER_INSTANCE
        {
            open.admitted.set(open.admitted.get() + 1);
            return Ok(Rc::clone(open));
        }
        self.retire_emptiest();
        let activation = self.activation();
        let instance = Rc::new(SharedInstance {
            inner: RefCell::new(activation.generation.instantiate().inspect_err(|error| activation.failed(error))?),
            activation,
            lost: Cell::new(false),
            stay: Cell::new(Stay::Home),
            admitted: Cell::new(1),
            swept: Rc::clone(&self.swept),
        });
        self.all.borrow_mut().push(Rc::downgrade(&instance));
        *self.open.borrow_mut() = Some(Rc::clone(&instance));
        Ok(instance)
    }

    /// Marks the emptiest instance for retirement where there are too many: its remaining
    /// aggregates move on, the idle ones at once, the others when they are done.
    fn retire_emptiest(&self) {
        let mut all = self.all.borrow_mut();
        all.retain(|instance| instance.strong_count() > 0);
        let staying = all.iter().filter_map(Weak::upgrade).filter(|i| i.stay.get() == Stay::Home);
        let (mut count, mut emptiest) = (0, None);
        for instance in staying {
            count += 1;
            let aggregates = Rc::strong_count(&instance);
            if emptiest.as_ref().is_none_or(|(fewest, _)| aggregates < *fewest) {
                emptiest = Some((aggregates, instance));
            }
        }
        if let Some((_, instance)) = emptiest
            && count >= self.instances_max
        {
            instance.stay.set(Stay::Over);
            self.swept.set(false);
        }
    }

    /// Whether aggregates should leave their instance, told once.
    pub(crate) fn needs_sweep(&self) -> bool {
        !self.swept.replace(true)
    }

    /// Some were left in their instance, and should leave later.
    pub(crate) fn sweep_again(&self) {
        self.swept.set(false);
    }
}

/// An instance and the aggregates in it.
pub(crate) struct SharedInstance {
    activation: Arc<Activation>,
    inner: RefCell<Box<dyn Instance>>,
    lost: Cell<bool>,
    stay: Cell<Stay>,
    admitted: Cell<usize>,
    swept: Rc<Cell<bool>>,
}

impl SharedInstance {
    /// The code it runs.
    pub(crate) fn activation(&self) -> &Arc<Activation> {
        &self.activation
    }

    /// Calls into the instance. An error of the plugin loses the instance for good.
    pub(crate) fn call<T>(
        &self,
        call: impl FnOnce(&mut dyn Instance) -> Result<T, PluginError>,
    ) -> Result<T, PluginError> {
        if self.is_lost() {
            return Err(PluginError::InstanceLost);
        }
        let result = call(&mut **self.inner.borrow_mut());
        if let Err(error) = &result {
            self.activation.failed(error);
            self.lost.set(true);
            self.swept.set(false);
        }
        result
    }

    /// Whether no call can succeed any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.get()
    }

    /// Whether its aggregates should move to another instance before their next request.
    pub(crate) fn moves_on(&self) -> bool {
        self.stay.get() != Stay::Home
    }

    /// Whether its aggregates should leave it though they are not used.
    pub(crate) fn ends(&self) -> bool {
        self.is_lost() || self.stay.get() == Stay::Over
    }
}
