//! The octets on disk are those that `docs/format.md` tells, written out here by hand.

#[cfg(test)]
mod ledger;

use ledger::{body, id, record, small};
use mailqueue::files::Files;
use mailqueue::testing::{Disk, block_on};
use mailqueue::{Destination, Draft, Envelope, Held, LogSpool, Note, Recipient, Spool, UnixMicros};

fn le<const N: usize>(number: u64) -> Vec<u8> {
    number.to_le_bytes().into_iter().take(N).collect()
}

fn text(text: &str) -> Vec<u8> {
    [le::<4>(text.len() as u64), text.as_bytes().to_vec()].concat()
}

/// A record of the first segment, with its padding.
fn framed(kind: u64, epoch: &[u8], sequence: u64, durable: u64, payload: &[u8]) -> Vec<u8> {
    let rest = [
        le::<4>(payload.len() as u64),
        epoch.to_vec(),
        le::<4>(sequence),
        le::<4>(durable),
        le::<2>(kind),
        vec![0; 6],
        payload.to_vec(),
    ]
    .concat();
    let mut octets = [le::<4>(u64::from(crc32c::crc32c(&rest))), rest].concat();
    octets.resize(octets.len().next_multiple_of(8), 0);
    octets
}

fn message_payload(number: u64, chunks: &[(u64, u64)]) -> Vec<u8> {
    let mut payload = [id(number).to_bytes().to_vec(), vec![0], le::<4>(0), le::<4>(chunks.len() as u64)].concat();
    for (offset, length) in chunks {
        payload.extend([le::<8>(1), le::<4>(*offset), le::<4>(*length)].concat());
    }
    payload.extend([le::<4>(0), le::<8>(5), le::<8>(77), vec![0, 0, 0, 0, 0]].concat());
    payload.extend([text("list"), text("s@example.com"), le::<4>(0), le::<4>(1)].concat());
    payload.extend([text("r@example.org"), text("mx"), vec![1], le::<4>(0), vec![0]].concat());
    payload
}

#[test]
fn a_segment_has_the_octets_that_are_documented() {
    let disk = Disk::new();
    let (spool, _) = LogSpool::open(disk.clone(), small()).unwrap();
    let recipient = Recipient {
        address: "r@example.org".to_owned(),
        destination: Destination::remote("mx"),
        parameters: Vec::new(),
    };
    let envelope = Envelope {
        sender: "s@example.com".to_owned(),
        recipients: vec![recipient],
        arrived: UnixMicros(77),
        source: "list".to_owned(),
        ..Envelope::default()
    };
    block_on(async {
        for number in [1, 2] {
            let mut draft = spool.begin(id(number), 5).await.unwrap();
            draft.write(&body(number, 5)).await.unwrap();
            let _ = draft.commit(&envelope, None).await.unwrap();
        }
        record(&spool, 1, vec![Note::Hold(Held::Poison)]).await.unwrap();
        spool.keep_rules(b"all of them".to_vec()).await.unwrap();
        record(&spool, 2, vec![Note::Done]).await.unwrap();
        // More rules than fit the rest of the segment.
        spool.keep_rules(vec![1; 3800]).await.unwrap();
        spool.close().await;
    });
    let first = |name: &String| disk.octets(name).is_some_and(|octets| octets.get(16..24) == Some(&le::<8>(1)[..]));
    let name = disk.list().unwrap().into_iter().find(first).unwrap();
    let octets = disk.octets(&name).unwrap();
    let epoch = octets[24..32].to_vec();

    let mut expected = [b"phqueue\n".to_vec(), le::<2>(2), le::<2>(0), le::<4>(4096), le::<8>(1)].concat();
    expected.extend([epoch.clone(), vec![0; 28]].concat());
    expected.extend(le::<4>(u64::from(crc32c::crc32c(&expected))));
    let wake_asked = 2;
    let (chunk_at, mut sequence) = (64, 0);
    let mut put = |expected: &mut Vec<u8>, kind, durable, payload: &[u8]| {
        let at = expected.len() as u64;
        expected.extend(framed(kind, &epoch, sequence, durable, payload));
        sequence += 1;
        (at, expected.len() as u64)
    };
    put(&mut expected, 1, 0, &[id(1).to_bytes().to_vec(), body(1, 5)].concat());
    let (message_at, message_end) = put(&mut expected, 2, 0, &message_payload(1, &[(chunk_at, 5)]));
    put(&mut expected, 1, message_end, &[id(2).to_bytes().to_vec(), body(2, 5)].concat());
    let (second_at, second_end) = put(&mut expected, 2, message_end, &message_payload(2, &[(message_end, 5)]));
    let link = |number, previous| [id(number).to_bytes().to_vec(), le::<8>(1), le::<4>(previous), le::<4>(0)].concat();
    let hold = [link(1, message_at), vec![wake_asked, 0], le::<4>(1), vec![1, 1]].concat();
    let (hold_at, hold_end) = put(&mut expected, 3, second_end, &hold);
    let (rules_at, rules_end) = put(&mut expected, 4, hold_end, b"all of them");
    let done = [link(2, second_at), vec![wake_asked, 1], le::<4>(1), le::<8>(1)].concat();
    let (done_at, done_end) = put(&mut expected, 3, rules_end, &done);

    let entry = |tag: u8, number, at, octets| {
        [vec![tag], id(number).to_bytes().to_vec(), le::<4>(at), le::<4>(octets)].concat()
    };
    let plain = [le::<4>(0), vec![0], le::<4>(0), vec![0]].concat();
    let listing = [
        entry(0, 1, message_at, message_end - chunk_at),
        plain.clone(),
        entry(0, 2, second_at, second_end - message_end),
        plain,
        entry(1, 1, hold_at, hold_end - hold_at),
        [le::<8>(1), le::<4>(message_at), le::<4>(0), vec![0, wake_asked]].concat(),
        [vec![3], le::<4>(rules_at), le::<4>(rules_end - rules_at)].concat(),
        entry(1, 2, done_at, done_end - done_at),
        [le::<8>(1), le::<4>(second_at), le::<4>(0), vec![1], le::<4>(1), le::<8>(1)].concat(),
    ]
    .concat();
    let mut footer = listing.clone();
    footer.resize(4096 - done_end as usize - 32 - 8, 0);
    footer.extend([le::<4>(listing.len() as u64), le::<4>(done_end)].concat());
    put(&mut expected, 5, done_end, &footer);
    assert_eq!(expected.len(), 4096);
    for (at, (is, should)) in octets.iter().zip(&expected).enumerate() {
        assert_eq!(is, should, "octet {at}");
    }
}
