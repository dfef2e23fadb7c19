//! Waiting for something to become true, with a message that says what did not.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

/// How long to sleep between two looks.
const POLL: Duration = Duration::from_millis(20);

/// Calls `look` until it returns `Ok`, and returns that.
///
/// `look` says by its error why it is not there yet; the last of them is in the error that is
/// returned after `timeout`. It is called at least once, and once more after the time is over.
pub fn wait_until<T>(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        let last_look = Instant::now() >= deadline;
        match look() {
            Ok(value) => return Ok(value),
            Err(reason) if last_look => {
                return Err(reason).with_context(|| {
                    format!("waited {:.1} s for {what}, in vain", timeout.as_secs_f64())
                });
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_the_value_as_soon_as_it_is_there() {
        let mut looks = 0;
        let value = wait_until("three looks", Duration::from_secs(5), || {
            looks += 1;
            anyhow::ensure!(looks == 3, "only {looks} looks");
            Ok(looks)
        });
        assert_eq!(value.expect("three looks fit into 5 s"), 3);
    }

    #[test]
    fn says_what_was_waited_for_and_why_it_did_not_come() {
        let error =
            wait_until::<()>("godot", Duration::from_millis(30), || anyhow::bail!("he sent a boy"));
        let text = format!("{:#}", error.expect_err("never comes"));
        assert_eq!(text, "waited 0.0 s for godot, in vain: he sent a boy");
    }
}
