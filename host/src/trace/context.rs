//! Where a span stands in its trace, and the header that says so: W3C trace context. Knows nothing of
//! what the spans are.

use std::fmt;

/// The bit that says that a span is recorded.
const SAMPLED: u8 = 1;

/// A span of a trace, as it is named to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span in it.
    pub span_id: [u8; 8],
    /// The flags, of which the lowest says whether it is recorded.
    pub flags: u8,
}

impl TraceContext {
    /// Reads a `traceparent`; `None` where it is none.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let [version] = hex_of::<1>(parts.next()?)?;
        let trace_id = hex_of(parts.next()?)?;
        let span_id = hex_of(parts.next()?)?;
        let [flags] = hex_of::<1>(parts.next()?)?;
        // A version to come may add to it; 255 is never one.
        let ends = version != 0 || parts.next().is_none();
        let is_one = version != u8::MAX && ends && trace_id != [0; 16] && span_id != [0; 8];
        is_one.then_some(Self { trace_id, span_id, flags })
    }

    /// Whether it is recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Another span of the same trace, which is recorded.
    #[must_use]
    pub fn recorded_as(&self, span_id: [u8; 8]) -> Self {
        Self { span_id, flags: self.flags | SAMPLED, ..*self }
    }

    /// The span of a new trace.
    pub fn root(trace_id: [u8; 16], span_id: [u8; 8]) -> Self {
        Self { trace_id, span_id, flags: SAMPLED }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, span_id, flags } = self;
        write!(f, "00-{}-{}-{flags:02x}", hex::encode(trace_id), hex::encode(span_id))
    }
}

/// Exactly so many bytes in lower case.
fn hex_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_written_alike() {
        let context = TraceContext::parse(HEADER).expect("a header");
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), HEADER);
        let random = TraceContext::parse(&HEADER.replace("-01", "-02")).expect("a header");
        assert!(!random.is_sampled());
        assert_eq!(random.recorded_as([7; 8]).flags, 3, "flags are kept");
        assert!(TraceContext::parse(&HEADER.replace("00-4", "01-4").replace("-01", "-01-more")).is_some());
    }

    #[test]
    fn what_is_no_header_is_none() {
        for wrong in [
            "",
            "00",
            &HEADER[..54],
            &format!("{HEADER}-more"),
            &HEADER.to_uppercase(),
            &HEADER.replace("00-4", "ff-4"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(wrong), None, "{wrong}");
        }
    }
}
