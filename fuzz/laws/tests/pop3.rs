//! The POP3 server keeps the laws, and each law can fail.

mod common;

use laws::pop3::Server;

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
