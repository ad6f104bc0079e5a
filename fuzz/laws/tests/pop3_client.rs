//! The POP3 client's session keeps the laws under an application that sends anything, and each law can fail. Where it
//! forgets, and how it takes messages, is shown by the visits.

mod common;

use laws::pop3_client::Client;

common::laws!(Client, 512, {
    split => ForgetsParts,
    bounds => Hoards,
    replies => SaysTwice,
    silence => TalksOn,
    deadlines => IsPatient,
    identity => SkipsOctets,
    verbs => Excuses,
});
