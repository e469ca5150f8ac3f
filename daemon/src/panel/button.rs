//! The button: from edges, whoever saw them, to gestures.
//!
//! Owns the waiting between edges. Must never decide what a gesture does.

use std::time::Duration;

use dockbeacon_core::panel::{Feedback, Gesture, Recogniser};
use tokio::sync::mpsc;

use crate::clock;
use crate::shutdown::CancellationToken;
use crate::supervisor::Progress;

/// The button's line changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Down, from now on.
    pub pressed: bool,
    /// When, on the monotonic clock.
    pub at: Duration,
    /// No edge: this is how the line was found.
    pub first: bool,
}

/// Where drivers put the edges that they see.
#[derive(Debug, Clone)]
pub struct Edges(mpsc::UnboundedSender<Edge>);

impl Edges {
    /// The two ends.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Edge>) {
        let (out, edges) = mpsc::unbounded_channel();
        (Self(out), edges)
    }

    /// How the line was found.
    pub fn first(&self, pressed: bool) {
        self.put(pressed, true);
    }

    /// The line changed just now.
    pub fn changed(&self, pressed: bool) {
        self.put(pressed, false);
    }

    fn put(&self, pressed: bool, first: bool) {
        // Nobody listens any more while the daemon stops.
        let _ = self.0.send(Edge { pressed, at: clock::now().monotonic, first });
    }

    /// Whether nobody listens any more.
    #[must_use]
    pub fn unheard(&self) -> bool {
        self.0.is_closed()
    }
}

/// What the button says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// What the lamps say to the person at the button; `None`: nothing any more.
    Held(Option<Feedback>),
    /// A gesture was made.
    Made(Gesture),
}

/// Follows the button until `stop`. `double` tells whether a double press means anything.
pub async fn follow(
    mut edges: mpsc::UnboundedReceiver<Edge>,
    double: impl Fn() -> bool,
    mut tell: impl FnMut(Sign),
    stop: CancellationToken,
    progress: Progress,
) {
    let mut button: Option<Recogniser> = None;
    let mut said = None;
    loop {
        progress.wait_for_ever();
        let now = clock::now().monotonic;
        let due = button.as_ref().and_then(|b| b.deadline().into_iter().chain(b.next_feedback(now)).min());
        let edge = tokio::select! {
            () = stop.cancelled() => return,
            edge = edges.recv() => match edge {
                Some(edge) => Some(edge),
                // Without a driver there is no button; this is no reason to end.
                None => { stop.cancelled().await; return }
            },
            () = tokio::time::sleep(due.unwrap_or_default().saturating_sub(now)), if due.is_some() => None,
        };
        progress.mark();
        let made = match (&mut button, edge) {
            (None, None) => None,
            (None, Some(edge)) | (Some(_), Some(edge @ Edge { first: true, .. })) => {
                // What is down before we look is ignored until it is let go; an edge from a driver that cannot look is
                // known to come from the other level.
                let before = if edge.first { edge.pressed } else { !edge.pressed };
                let mut new = Recogniser::new(before, edge.at);
                new.set_double_press(double());
                let made = if edge.first { None } else { new.edge(edge.pressed, edge.at) };
                button = Some(new);
                made
            }
            (Some(button), Some(edge)) => {
                button.set_double_press(double());
                button.edge(edge.pressed, edge.at)
            }
            (Some(button), None) => {
                button.set_double_press(double());
                button.tick(clock::now().monotonic)
            }
        };
        if let Some(gesture) = made {
            tell(Sign::Made(gesture));
        }
        let feedback = button.as_ref().and_then(|b| b.feedback(clock::now().monotonic));
        if feedback != said {
            said = feedback;
            tell(Sign::Held(feedback));
        }
    }
}
