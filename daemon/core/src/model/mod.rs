//! The words of the domain as types: hosts, containers, images, digests, labels, and one snapshot of an engine.
//!
//! Owns parsing and printing of them. Must never hold policy: what may be done with a container is decided elsewhere.

mod ids;
mod image_ref;
mod inventory;
mod labels;
mod order;

pub use ids::{ContainerId, ContainerName, Digest, HostId, IdError, ImageId, TxId};
pub use image_ref::{ImageRef, ImageRefError};
pub use inventory::{
    Container, ContainerState, EngineInfo, Health, Image, Inventory, Join, JoinKind, Platform,
};
pub use labels::{Labels, compose};
pub use order::stop_order;
