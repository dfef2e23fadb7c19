//! What one probe found, in HAProxy's words.
#![forbid(unsafe_code)]

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// How a probe ended. The words are HAProxy's, so that operators and their tools know them
/// already (HAProxy's management guide, section 9.1, `check_status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CheckCode {
    /// No probe has ended yet.
    Ini,
    /// The probe could not be made for a reason on this host (no file descriptors, no ports): it
    /// says nothing about the backend.
    Unk,
    /// A TCP connection was accepted.
    L4Ok,
    /// No answer to the connection attempt in time.
    L4Tout,
    /// The connection was refused, or the backend is unreachable.
    L4Con,
    /// The answer is as expected.
    L7Ok,
    /// A valid answer with a status that is not expected.
    L7Sts,
    /// Connected, but no whole answer in time.
    L7Tout,
    /// Connected, but the answer is not valid or ended early.
    L7Rsp,
}

/// What a result says about a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It works.
    Good,
    /// It does not.
    Bad,
    /// Nothing.
    Neutral,
}

impl CheckCode {
    /// What this code says about the backend.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Ini | Self::Unk => Outcome::Neutral,
            Self::L4Ok | Self::L7Ok => Outcome::Good,
            Self::L4Tout | Self::L4Con | Self::L7Sts | Self::L7Tout | Self::L7Rsp => Outcome::Bad,
        }
    }
}

impl fmt::Display for CheckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ini => "INI",
            Self::Unk => "UNK",
            Self::L4Ok => "L4OK",
            Self::L4Tout => "L4TOUT",
            Self::L4Con => "L4CON",
            Self::L7Ok => "L7OK",
            Self::L7Sts => "L7STS",
            Self::L7Tout => "L7TOUT",
            Self::L7Rsp => "L7RSP",
        })
    }
}

/// The result of one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// How it ended.
    pub code: CheckCode,
    /// The reason in words: the operating system's error, the HTTP status, what was expected.
    pub detail: String,
    /// From the start of the probe until its result was known. In JSON: `duration_ms`.
    #[serde(rename = "duration_ms", with = "milliseconds")]
    pub duration: Duration,
}

impl CheckResult {
    /// The result before the first probe.
    pub fn initial() -> Self {
        Self { code: CheckCode::Ini, detail: "not probed yet".into(), duration: Duration::ZERO }
    }
}

impl fmt::Display for CheckResult {
    /// `L7STS in 3.1 ms: 503 Service Unavailable, …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.duration.as_secs_f64() * 1000.0;
        write!(f, "{} in {ms:.1} ms: {}", self.code, self.detail)
    }
}

/// Durations as milliseconds with a fraction of three digits.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(value.as_micros() as f64 / 1e3)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let milliseconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(milliseconds / 1e3).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [CheckCode; 9] = [
        CheckCode::Ini,
        CheckCode::Unk,
        CheckCode::L4Ok,
        CheckCode::L4Tout,
        CheckCode::L4Con,
        CheckCode::L7Ok,
        CheckCode::L7Sts,
        CheckCode::L7Tout,
        CheckCode::L7Rsp,
    ];

    #[test]
    fn json_and_display_use_the_same_words() {
        for code in ALL {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
        }
    }

    #[test]
    fn a_result_survives_json() {
        let result = CheckResult {
            code: CheckCode::L7Sts,
            detail: "503".into(),
            duration: Duration::from_micros(1250),
        };
        let json = serde_json::to_string(&result).unwrap();
        assert_eq!(json, r#"{"code":"L7STS","detail":"503","duration_ms":1.25}"#);
        assert_eq!(serde_json::from_str::<CheckResult>(&json).unwrap(), result);
    }
}
