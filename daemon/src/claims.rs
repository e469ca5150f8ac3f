//! Claims that are open on the page and wait for a press of the button on the device.
//!
//! Owns which are open, and the wish to forget the owner that the button makes. Must never decide what a press means:
//! the core does, from how many are open.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

/// How long a claim stays open.
pub const WINDOW: Duration = Duration::from_secs(120);
/// Open at once; from two on none is granted, so more would only cost memory.
const MOST: usize = 8;

/// How a claim that waited for a press ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressed {
    /// The button was pressed while this was the only open claim.
    Granted,
    /// It was pressed while several were open.
    Several,
    /// Nobody pressed within the window.
    Nobody,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Pressed>>,
}

/// The open claims. Cheap to share.
#[derive(Debug)]
pub struct Claims {
    open: Mutex<Open>,
    button: Mutex<bool>,
    resets: watch::Sender<u64>,
}

impl Default for Claims {
    fn default() -> Self {
        Self { open: Mutex::default(), button: Mutex::default(), resets: watch::Sender::new(0) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open claim; dropping it closes it.
pub struct Claim {
    claims: Arc<Claims>,
    id: u64,
    answer: oneshot::Receiver<Pressed>,
}

impl Claim {
    /// Waits for the press, for as long as the window is open.
    pub async fn wait(self) -> Pressed {
        self.wait_for(WINDOW).await
    }

    async fn wait_for(mut self, window: Duration) -> Pressed {
        match tokio::time::timeout(window, &mut self.answer).await {
            Ok(Ok(pressed)) => pressed,
            Ok(Err(_)) | Err(_) => Pressed::Nobody,
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.claims.open).waiting.remove(&self.id);
    }
}

impl Claims {
    /// Opens one; `None` where there are too many.
    #[must_use]
    pub fn open(self: &Arc<Self>) -> Option<Claim> {
        let mut open = lock(&self.open);
        if open.waiting.len() >= MOST {
            return None;
        }
        let (out, answer) = oneshot::channel();
        open.next += 1;
        let id = open.next;
        open.waiting.insert(id, out);
        Some(Claim { claims: Arc::clone(self), id, answer })
    }

    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.open).waiting.len()
    }

    /// A press: grants the only one, or tells all of several that none was granted. True when one was granted.
    pub fn press(&self) -> bool {
        let waiting = std::mem::take(&mut lock(&self.open).waiting);
        let answer = if waiting.len() == 1 { Pressed::Granted } else { Pressed::Several };
        // Whoever went away meanwhile gets nothing.
        let heard = waiting.into_values().filter_map(|out| out.send(answer).ok()).count();
        answer == Pressed::Granted && heard == 1
    }

    /// There is a real button, so that the page can offer it.
    pub fn have_button(&self) {
        *lock(&self.button) = true;
    }

    /// Whether there is a real button.
    #[must_use]
    pub fn button(&self) -> bool {
        *lock(&self.button)
    }

    /// The button asks to forget the owner.
    pub fn ask_reset(&self) {
        self.resets.send_modify(|asked| *asked += 1);
    }

    /// For whoever forgets the owner: counts those wishes.
    #[must_use]
    pub fn resets(&self) -> watch::Receiver<u64> {
        self.resets.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_press_grants_the_only_claim_and_no_other() {
        let claims = Arc::new(Claims::default());
        assert!(!claims.press(), "nobody asked");
        let one = claims.open().into_iter();
        assert_eq!(claims.count(), 1);
        assert!(claims.press());
        for claim in one {
            assert_eq!(claim.wait().await, Pressed::Granted);
        }
        let (first, second) = (claims.open(), claims.open());
        assert!(!claims.press());
        for claim in [first, second].into_iter().flatten() {
            assert_eq!(claim.wait().await, Pressed::Several);
        }
        let late = claims.open().into_iter();
        for claim in late {
            assert_eq!(claim.wait_for(Duration::from_millis(20)).await, Pressed::Nobody);
        }
        assert_eq!(claims.count(), 0, "closed at the end of its window");
        let gone = claims.open();
        drop(gone);
        assert!(!claims.press(), "who went away gets nothing");
        let many: Vec<_> = (0..MOST).map(|_| claims.open()).collect();
        assert!(many.iter().all(Option::is_some) && claims.open().is_none());
    }
}
