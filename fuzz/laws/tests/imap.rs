//! The IMAP server keeps the laws, and each law can fail.

mod common;

use laws::imap::Server;

common::laws!(Server, 512, {
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
