//! The faults there are, and on which ground each can be made. It must not make them: each has a file
//! of its own.

use anyhow::Result;

use super::dice::Dice;
use super::disk::Disk;
use super::ground::Ground;
use super::site::Site;
use super::{
    clock_jumped, connections_cut, connections_stalled, disk_full, follower_lost, host_killed, host_paused,
    leader_lost, limit_reached, link_cut, packets_delayed, plugins_swapped, server_isolated, server_killed,
};

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// SIGKILL of a host.
    HostKilled,
    /// SIGSTOP of a host for longer than its timeouts, then SIGCONT.
    HostPaused,
    /// SIGKILL of the only server.
    ServerKilled,
    /// SIGKILL of the server that leads a stream.
    LeaderLost,
    /// SIGKILL of one that follows.
    FollowerLost,
    /// A server no longer reaches the others, nor they it.
    ServerIsolated,
    /// The link of a leaf node to its hub is cut for a minute.
    LinkCut,
    /// A host's connections end.
    ConnectionsCut,
    /// A host's connections stay open and nothing passes.
    ConnectionsStalled,
    /// What a host sends and gets comes late.
    PacketsDelayed,
    /// JetStream has stored all that it may.
    LimitReached,
    /// The file system under JetStream is full.
    DiskFull,
    /// A host's clock jumps back an hour.
    ClockJumped,
    /// Other code goes live.
    PluginsSwapped,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::HostKilled,
        Self::HostPaused,
        Self::ServerKilled,
        Self::LeaderLost,
        Self::FollowerLost,
        Self::ServerIsolated,
        Self::LinkCut,
        Self::ConnectionsCut,
        Self::ConnectionsStalled,
        Self::PacketsDelayed,
        Self::LimitReached,
        Self::DiskFull,
        Self::ClockJumped,
        Self::PluginsSwapped,
    ];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HostKilled => "host killed",
            Self::HostPaused => "host paused",
            Self::ServerKilled => "server killed",
            Self::LeaderLost => "leader lost",
            Self::FollowerLost => "follower lost",
            Self::ServerIsolated => "server isolated",
            Self::LinkCut => "link cut",
            Self::ConnectionsCut => "connections cut",
            Self::ConnectionsStalled => "connections stalled",
            Self::PacketsDelayed => "packets delayed",
            Self::LimitReached => "storage limit reached",
            Self::DiskFull => "disk full",
            Self::ClockJumped => "clock jumped",
            Self::PluginsSwapped => "plugins swapped",
        }
    }

    /// Whether it can be made there.
    pub fn strikes(self, ground: Ground) -> bool {
        match self {
            Self::HostKilled
            | Self::HostPaused
            | Self::PluginsSwapped
            | Self::ConnectionsCut
            | Self::ConnectionsStalled
            | Self::PacketsDelayed => true,
            Self::ClockJumped => cfg!(target_os = "linux"),
            Self::LeaderLost | Self::FollowerLost | Self::ServerIsolated => ground == Ground::Cluster,
            Self::LinkCut => ground == Ground::LeafAndHub,
            Self::ServerKilled => ground != Ground::Cluster,
            Self::LimitReached => ground == Ground::Single,
            Self::DiskFull => ground == Ground::Single && Disk::may_be_mounted(),
        }
    }

    /// Makes it, lets it last, and undoes it.
    pub async fn strike(self, site: &mut Site, dice: &mut Dice) -> Result<()> {
        match self {
            Self::HostKilled => host_killed::strike(site, dice).await,
            Self::HostPaused => host_paused::strike(site, dice).await,
            Self::ServerKilled => server_killed::strike(site, dice).await,
            Self::LeaderLost => leader_lost::strike(site, dice).await,
            Self::FollowerLost => follower_lost::strike(site, dice).await,
            Self::ServerIsolated => server_isolated::strike(site, dice).await,
            Self::LinkCut => link_cut::strike(site, dice).await,
            Self::ConnectionsCut => connections_cut::strike(site, dice).await,
            Self::ConnectionsStalled => connections_stalled::strike(site, dice).await,
            Self::PacketsDelayed => packets_delayed::strike(site, dice).await,
            Self::LimitReached => limit_reached::strike(site, dice).await,
            Self::DiskFull => disk_full::strike(site, dice).await,
            Self::ClockJumped => clock_jumped::strike(site, dice).await,
            Self::PluginsSwapped => plugins_swapped::strike(site, dice).await,
        }
    }
}
