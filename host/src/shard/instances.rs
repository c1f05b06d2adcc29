//! The plugin instances of one shard, each with a bounded number of aggregates, so that a
//! trap costs few aggregates a refill and memory comes back when an instance is retired.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::domain::{Generation, Instance, PluginError};

/// Aggregates one instance takes in over its life. More make a trap dearer, fewer cost a
/// linear memory each.
const AGGREGATES_PER_INSTANCE: usize = 256;

/// The instances of one shard.
pub(super) struct Instances {
    generation: Arc<dyn Generation>,
    /// The one that still takes aggregates in.
    open: RefCell<Option<Rc<SharedInstance>>>,
    all: RefCell<Vec<Weak<SharedInstance>>>,
    instances_max: usize,
    /// Whether an instance was lost or retired since the shard last looked.
    swept: Rc<Cell<bool>>,
}

impl Instances {
    pub(super) fn new(generation: Arc<dyn Generation>, aggregates_max: usize) -> Self {
        // Twice what the aggregates fill, since instances empty one aggregate at a time.
        let instances_max = 2 * aggregates_max.div_ceil(AGGREGATES_PER_INSTANCE) + 4;
        Self {
            generation,
            open: RefCell::default(),
            all: RefCell::default(),
            instances_max,
            swept: Rc::new(Cell::new(true)),
        }
    }

    pub(super) fn generation(&self) -> &dyn Generation {
        &*self.generation
    }

    /// The instance that takes in the next aggregate.
    pub(super) fn admit(&self) -> Result<Rc<SharedInstance>, PluginError> {
        if let Some(open) = self.open.borrow().as_ref()
            && !open.is_lost()
            && open.admitted.get() < AGGREGATES_PER_INSTANCE
        {
            open.admitted.set(open.admitted.get() + 1);
            return Ok(Rc::clone(open));
        }
        self.retire_emptiest();
        let instance = Rc::new(SharedInstance {
            inner: RefCell::new(self.generation.instantiate()?),
            lost: Cell::new(false),
            retiring: Cell::new(false),
            admitted: Cell::new(1),
            swept: Rc::clone(&self.swept),
        });
        self.all.borrow_mut().push(Rc::downgrade(&instance));
        *self.open.borrow_mut() = Some(Rc::clone(&instance));
        Ok(instance)
    }

    /// Marks the emptiest instance for retirement where there are too many: its remaining
    /// aggregates move on, the idle ones at once, the others at their next command.
    fn retire_emptiest(&self) {
        let mut all = self.all.borrow_mut();
        all.retain(|instance| instance.strong_count() > 0);
        let staying = all.iter().filter_map(Weak::upgrade).filter(|i| !i.retiring.get());
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
            instance.retiring.set(true);
            self.swept.set(false);
        }
    }

    /// Whether aggregates should leave their instance, told once.
    pub(super) fn needs_sweep(&self) -> bool {
        !self.swept.replace(true)
    }
}

/// An instance and the aggregates in it.
pub(super) struct SharedInstance {
    inner: RefCell<Box<dyn Instance>>,
    lost: Cell<bool>,
    retiring: Cell<bool>,
    admitted: Cell<usize>,
    swept: Rc<Cell<bool>>,
}

impl SharedInstance {
    /// Calls into the instance. An error of the plugin loses the instance for good.
    pub(super) fn call<T>(
        &self,
        call: impl FnOnce(&mut dyn Instance) -> Result<T, PluginError>,
    ) -> Result<T, PluginError> {
        if self.is_lost() {
            return Err(PluginError::InstanceLost);
        }
        let result = call(&mut **self.inner.borrow_mut());
        if result.is_err() {
            self.lost.set(true);
            self.swept.set(false);
        }
        result
    }

    /// Whether no call can succeed any more.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.get()
    }

    /// Whether its aggregates should move to another instance.
    pub(super) fn is_retiring(&self) -> bool {
        self.retiring.get()
    }
}
