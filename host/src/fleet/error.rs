//! Why the fleet's buckets do not do what was asked, by what the caller does about it.

use crate::domain::Digest;
use crate::name::Name;

/// Why the fleet's plugins cannot be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// No answer, or none in time: worth another attempt. Something may have been written.
    #[error("{0}")]
    Unavailable(String),
    /// JetStream says no, and will say so again.
    #[error("{0}")]
    Refused(String),
    /// A bucket was deleted, or never made.
    #[error(
        "there is no bucket {bucket}, though the fleet's plugins are kept there: `agent-service plugin push` makes it, then push and activate the fleet's plugins again"
    )]
    Gone {
        /// Its name.
        bucket: &'static str,
    },
    /// A component is larger than a plugin may be.
    #[error("the component has {size} bytes, at most {max} are taken: make the plugin smaller")]
    TooLarge {
        /// Its size in bytes, as far as it was looked at.
        size: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// What is kept under a digest has another one.
    #[error("what is kept under sha256:{digest} is damaged ({why}): push the plugin again, which replaces it")]
    Damaged {
        /// Under which digest.
        digest: Digest,
        /// What is wrong with it.
        why: String,
    },
    /// A component is not kept.
    #[error("no component sha256:{digest} is kept: `agent-service plugin push` stores it")]
    NotStored {
        /// Its digest.
        digest: Digest,
    },
    /// There is nothing to go back to.
    #[error("nothing is known that ran before for the domain {domain}: activate the plugin that is to run")]
    NothingBefore {
        /// The domain.
        domain: Name,
    },
    /// Another activation stands than the one that was to be undone.
    #[error("activation {from} of the domain {domain} stands no longer, {standing} does: nothing was changed")]
    Overtaken {
        /// The domain.
        domain: Name,
        /// The activation that was to be undone.
        from: u64,
        /// The one that stands.
        standing: u64,
    },
    /// Others changed the same entry again and again.
    #[error("others keep changing what is wanted for the domain {domain}: try again")]
    Contended {
        /// The domain.
        domain: Name,
    },
    /// An entry is none that this version knows.
    #[error(
        "what is wanted for the domain {domain} cannot be read ({why}): delete the key `{domain}` of the bucket {bucket} and activate a plugin again"
    )]
    Unreadable {
        /// The domain.
        domain: Name,
        /// The bucket.
        bucket: &'static str,
        /// What is wrong with it.
        why: String,
    },
}
