//! A reply's headers, the same whichever lane the request came by. Knows nothing of connections.

use async_nats::{HeaderMap, HeaderName};

use crate::message::{Failure, Reply};
use crate::name::header;

/// The one header that every reply has.
const STATUS: HeaderName = HeaderName::from_static(header::STATUS);

/// The headers of a reply.
pub fn reply_headers(reply: &Reply) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(STATUS, reply.status());
    if let Reply::Error(Failure { code, message, .. }) = reply {
        headers.insert(header::SERVICE_ERROR_CODE, code.number().to_string());
        // A header is one line.
        headers.insert(header::SERVICE_ERROR, message.replace(['\r', '\n'], " "));
    }
    headers
}
