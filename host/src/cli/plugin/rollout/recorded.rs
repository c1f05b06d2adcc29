//! What the log says of the code that decided last: no number at or below it may go live. Knows
//! nothing of hosts.

use async_nats::jetstream::context::GetStreamByNameErrorKind;
use async_nats::jetstream::stream::LastRawMessageErrorKind;

use crate::cli::CliError;
use crate::cli::client::Client;
use crate::name::{Name, Subjects, header};

/// The activation number of the domain's newest event, 0 where there is none.
pub(super) async fn activation(client: &Client, domain: &Name) -> Result<u64, CliError> {
    let lost = |error: &dyn std::fmt::Display| CliError::Unavailable(format!("the log cannot be read: {error}"));
    let subject = Subjects::new(domain).events();
    let stream = match client.jetstream.stream_by_subject(subject.as_str()).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(lost(&error)),
    };
    let stream = client.jetstream.get_stream_no_info(stream).await.map_err(|error| lost(&error))?;
    match stream.get_last_raw_message_by_subject(&subject).await {
        Ok(newest) => {
            let number = newest.headers.get(header::CE_ACTIVATION).and_then(|number| number.as_str().parse().ok());
            Ok(number.unwrap_or_default())
        }
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
        Err(error) => Err(lost(&error)),
    }
}
