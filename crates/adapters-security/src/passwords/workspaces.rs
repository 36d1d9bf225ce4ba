//! The memory that hashing goes through, kept from one hash to the next: asking the system for fresh megabytes each time
//! costs as much as a good part of the hash.

use argon2::Block;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Workspaces that nobody uses just now. There are never more of them than there were hashes at once.
pub(super) struct Workspaces {
    /// The usual size, in blocks of a KiB.
    blocks: usize,
    idle: Mutex<Vec<Vec<Block>>>,
}

impl Workspaces {
    pub(super) fn of(blocks: usize) -> Self {
        Self { blocks, idle: Mutex::default() }
    }

    /// Lends at least this many blocks to `work`. What is in them is left over from earlier work.
    pub(super) fn lend<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let mut workspace = self.idle().pop().unwrap_or_default();
        if workspace.len() < blocks {
            workspace.resize(blocks, Block::new());
        }
        let result = work(&mut workspace);
        self.take_back(workspace);
        result
    }

    /// A hash of stronger settings than today's may have stretched the workspace; it does not stay stretched.
    fn take_back(&self, mut workspace: Vec<Block>) {
        workspace.truncate(self.blocks);
        workspace.shrink_to(self.blocks);
        self.idle().push(workspace);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_used_again_and_keeps_its_usual_size() {
        let workspaces = Workspaces::of(8);
        let first = workspaces.lend(8, |blocks| blocks.as_ptr() as usize);
        let second = workspaces.lend(8, |blocks| blocks.as_ptr() as usize);
        assert_eq!(first, second);
        assert_eq!(workspaces.lend(32, |blocks| blocks.len()), 32);
        let idle = workspaces.idle();
        assert_eq!(idle.iter().map(Vec::len).collect::<Vec<_>>(), [8]);
        assert!(idle[0].capacity() < 32);
    }

    #[test]
    fn two_who_hash_at_once_have_a_workspace_each() {
        let workspaces = Workspaces::of(8);
        workspaces.lend(8, |one| {
            workspaces.lend(8, |other| assert_ne!(one.as_ptr(), other.as_ptr()));
        });
        assert_eq!(workspaces.idle().len(), 2);
    }
}
