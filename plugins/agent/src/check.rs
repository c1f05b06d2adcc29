//! Checks of single fields: what fails here is `invalid`. Knows nothing of agents.

use agent_guest::Refusal;

/// Longest id, name or other label, in bytes: they become keys, columns and log fields.
pub(crate) const LABEL_BYTES_MAX: usize = 256;

/// Longest description or reason, in bytes: a page of text.
pub(crate) const TEXT_BYTES_MAX: usize = 4_096;

/// Most items of one list or map in a command: what an event names must fit one message.
pub(crate) const ITEMS_MAX: usize = 256;

type Checked = Result<(), Refusal>;

/// A label that must say something.
pub(crate) fn name(field: &str, value: &str) -> Checked {
    if value.trim().is_empty() {
        return Err(Refusal::invalid(field, "must not be empty"));
    }
    label(field, value)
}

/// A short text, which may be empty.
pub(crate) fn label(field: &str, value: &str) -> Checked {
    at_most(field, value, LABEL_BYTES_MAX)
}

/// A long text, which may be empty.
pub(crate) fn text(field: &str, value: &str) -> Checked {
    at_most(field, value, TEXT_BYTES_MAX)
}

/// A field that may be missing.
pub(crate) fn optional(check: impl Fn(&str, &str) -> Checked, field: &str, value: Option<&str>) -> Checked {
    value.map_or(Ok(()), |value| check(field, value))
}

/// A UUID in its hyphenated form.
pub(crate) fn uuid(field: &str, value: &str) -> Checked {
    let is_uuid = value.len() == 36
        && value.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if is_uuid {
        return Ok(());
    }
    Err(Refusal::invalid(field, "must be a hyphenated UUID"))
}

/// An id of dotted segments, `text.generation`.
pub(crate) fn dotted(field: &str, value: &str) -> Checked {
    label(field, value)?;
    if value.split('.').all(is_segment) {
        return Ok(());
    }
    Err(Refusal::invalid(field, "must be segments of A-Z a-z 0-9 _ - joined by dots, such as text.generation"))
}

/// The id of a permission, `workflow.execute`, `workflow.*` or `*`.
pub(crate) fn permission_id(field: &str, value: &str) -> Checked {
    label(field, value)?;
    let is_permission = value == "*"
        || value
            .rsplit_once('.')
            .is_some_and(|(above, last)| above.split('.').all(is_segment) && (last == "*" || is_segment(last)));
    if is_permission {
        return Ok(());
    }
    Err(Refusal::invalid(field, "must be like resource.action, domain.resource.action or resource.*"))
}

/// A list, item by item.
pub(crate) fn each<'a, T: 'a, I>(field: &str, items: I, check: impl Fn(&T) -> Checked) -> Checked
where
    I: IntoIterator<Item = &'a T>,
    I::IntoIter: ExactSizeIterator,
{
    let items = items.into_iter();
    count(field, items.len())?;
    for (index, item) in items.enumerate() {
        if let Err(refusal) = check(item) {
            return within(&format!("{field}[{index}]"), Err(refusal));
        }
    }
    Ok(())
}

/// The keys of an object: not too many, none empty, none too long.
pub(crate) fn keys<'a>(field: &str, keys: impl ExactSizeIterator<Item = &'a String>) -> Checked {
    count(field, keys.len())?;
    for key in keys {
        if key.is_empty() || key.len() > LABEL_BYTES_MAX {
            return Err(Refusal::invalid(
                field,
                format!("has a key that is empty or longer than {LABEL_BYTES_MAX} bytes"),
            ));
        }
    }
    Ok(())
}

/// The same refusal, its field seen from one level further out.
pub(crate) fn within(outer: &str, checked: Checked) -> Checked {
    checked.map_err(|refusal| match refusal {
        Refusal::Invalid { field, message } if field.is_empty() => Refusal::invalid(outer, message),
        Refusal::Invalid { field, message } => Refusal::invalid(format!("{outer}.{field}"), message),
        rejected @ Refusal::Rejected { .. } => rejected,
    })
}

fn count(field: &str, items: usize) -> Checked {
    if items > ITEMS_MAX {
        return Err(Refusal::invalid(field, format!("has {items} items, send at most {ITEMS_MAX} per command")));
    }
    Ok(())
}

fn at_most(field: &str, value: &str, bytes_max: usize) -> Checked {
    if value.len() > bytes_max {
        return Err(Refusal::invalid(field, format!("is longer than {bytes_max} bytes")));
    }
    Ok(())
}

fn is_segment(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
