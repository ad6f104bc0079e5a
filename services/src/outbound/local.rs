//! Into mailboxes here. Each delivery has an id that the store knows again, so that a second attempt doubles nothing.

use bytes::Bytes;
use mailqueue::{Batch, Outcome};
use mailstore::error::AppendError;
use mailstore::{Account as _, Mailbox as _, NewMessage, Store, Writer};

use crate::convert;
use crate::trace;

/// Delivers one message to all the batch's mailboxes, reading it once.
pub(super) async fn deliver<S: Store>(store: &S, batch: &Batch) -> Vec<Outcome> {
    let mut writers = Vec::with_capacity(batch.recipients.len());
    for (index, recipient) in batch.recipients.iter().zip(batch.recipients()) {
        let new = NewMessage {
            delivery_id: Some(batch.delivery_id(*index)),
            size_hint: Some(batch.body.size()),
            ..NewMessage::default()
        };
        writers.push(begin(store, &recipient.address, new, &batch.envelope.sender).await);
    }
    let mut body = batch.body.reader();
    loop {
        let chunk = match body.next().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            // The writers are dropped: nothing was delivered.
            Err(error) => return vec![convert::unreadable(&error); batch.recipients.len()],
        };
        for writer in &mut writers {
            let Ok(open) = writer else { continue };
            if let Err(error) = open.write(chunk.clone()).await {
                *writer = Err(convert::append_outcome(&error));
            }
        }
    }
    // All are begun before one is waited for, so that they share what can be shared.
    let tasks: Vec<_> = writers.into_iter().map(|writer| tokio::spawn(finish(writer))).collect();
    let mut outcomes = Vec::with_capacity(tasks.len());
    for task in tasks {
        outcomes.push(task.await.unwrap_or_else(|_| convert::broken_off()));
    }
    outcomes
}

async fn begin<S: Store>(
    store: &S,
    mailbox: &str,
    new: NewMessage,
    sender: &str,
) -> Result<impl Writer + use<S>, Outcome> {
    let account = store.open(mailbox).await.map_err(|error| convert::store_outcome(&error))?;
    let inbox = account.open("INBOX").await.map_err(|error| convert::store_outcome(&error))?;
    let mut writer = inbox.append(new).await.map_err(|error| convert::append_outcome(&error))?;
    let top = Bytes::from(trace::return_path(sender));
    writer.write(top).await.map_err(|error: AppendError| convert::append_outcome(&error))?;
    Ok(writer)
}

async fn finish<W: Writer>(writer: Result<W, Outcome>) -> Outcome {
    match writer {
        Ok(writer) => match writer.deliver().await {
            Ok(custody) => convert::delivered(&custody),
            Err(error) => convert::append_outcome(&error),
        },
        Err(outcome) => outcome,
    }
}
