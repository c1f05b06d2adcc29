//! Why a command led to no events. Answers, not faults; knows nothing of how they travel.

/// Why a command led to no events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Understood and refused.
    Rejected {
        /// A stable token for programs: `[a-z][a-z0-9_]{0,63}`.
        reason: String,
        /// The same in words, for people.
        message: String,
    },
    /// Not understood.
    Invalid {
        /// The field at fault as a path, `metadata.name` or `tools[2].id`; empty where it is
        /// the whole payload.
        field: String,
        /// What is wrong with it, in words.
        message: String,
    },
}

impl Refusal {
    /// The domain understands the command and refuses it.
    ///
    /// ```
    /// use agent_guest::Refusal;
    ///
    /// fn withdraw(balance: u64, amount: u64) -> Result<u64, Refusal> {
    ///     balance
    ///         .checked_sub(amount)
    ///         .ok_or_else(|| Refusal::rejected("overdrawn", "the balance is too low"))
    /// }
    /// assert!(withdraw(3, 5).is_err());
    /// ```
    #[must_use]
    pub fn rejected(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Rejected { reason: reason.into(), message: message.into() }
    }

    /// A field of the command has a value that makes no sense.
    #[must_use]
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }
}
