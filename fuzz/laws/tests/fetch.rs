//! The POP3 client, which visits a maildrop, keeps the laws, and each law can fail.

mod common;

use laws::fetch::Client;

common::laws!(Client, 2000, {
    split => ForgetsParts,
    bounds => Hoards,
    replies => SaysTwice,
    silence => TalksOn,
    deadlines => IsPatient,
    resets => Remembers,
    bodies => ObeysData,
    identity => SkipsOctets,
    verbs => Excuses,
});
