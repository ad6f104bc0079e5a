//! The SMTP client, which delivers a message, keeps the laws, and each law can fail. It is sent no bodies.

mod common;

use laws::delivery::Client;

common::laws!(Client, 512, {
    split => ForgetsParts,
    bounds => Hoards,
    replies => SaysTwice,
    silence => TalksOn,
    deadlines => IsPatient,
    resets => Remembers,
    identity => SkipsOctets,
    verbs => Excuses,
});
