//! Which hosts a message goes to, as the routes and DNS have it now.

use std::sync::Arc;

use mailqueue::{Batch, Outcome};

use super::journal;
use super::{Couriers, Demands, Hop, NoWay, Parcel, Relays, Resolver, Route};
use crate::convert::{self, Place};
use crate::routes::{RelayHost, Routing, Way};

/// Carries mail to other servers, by whatever way leads there now: what is queued follows a change of the configuration.
#[derive(Debug)]
pub(super) struct Ways {
    pub(super) routing: Arc<Routing>,
    pub(super) resolver: Arc<Resolver>,
    pub(super) couriers: Couriers,
    pub(super) relays: Relays,
}

/// Why a message cannot be sent on.
enum Stuck {
    /// No way is configured.
    Closed,
    NoWay(NoWay),
}

impl Ways {
    /// Tries once to deliver a batch.
    pub(super) async fn carry(&self, batch: &Batch, place: Place<'_>) -> Vec<Outcome> {
        let count = batch.recipients.len();
        let Some(envelope) = convert::delivery(batch) else { return vec![convert::unaddressable(); count] };
        let demands = convert::demands(&batch.envelope);
        let first = match self.hop(place, demands).await {
            Ok(hop) => hop,
            Err(Stuck::Closed) => return vec![convert::closed(); count],
            Err(Stuck::NoWay(why)) => return vec![convert::no_way(why); count],
        };
        let fallback = match &self.relays.fallback {
            // Where it cannot be found either, the first has the last word.
            Some(relay) => self.relay(relay, demands).await.ok(),
            None => None,
        };
        let parcel = Parcel { id: batch.id, envelope, body: batch.body.clone() };
        let fates = self.couriers.deliver(&parcel, &Route { first, fallback }).await;
        for (recipient, fate) in batch.recipients().zip(&fates) {
            journal::sent(batch.id, recipient, batch.envelope.arrived, fate);
        }
        fates.into_iter().map(convert::outcome).collect()
    }

    /// Names the hosts behind a place; `None` where the place is all there is to know.
    pub(super) async fn site(&self, place: Place<'_>) -> Option<Arc<str>> {
        match self.way(place)? {
            Way::Closed => None,
            Way::Relay(relay) => Some(relay.to_string().into()),
            Way::Exchangers => match place {
                Place::Domain(domain) => Some(self.resolver.site(domain).await.into()),
                Place::Store | Place::Relay(_) => None,
            },
        }
    }

    async fn hop(&self, place: Place<'_>, demands: Demands) -> Result<Hop, Stuck> {
        match (self.way(place), place) {
            (Some(Way::Exchangers), Place::Domain(domain)) => {
                self.resolver.targets(domain, demands).await.map(Hop::to).map_err(Stuck::NoWay)
            }
            (Some(Way::Relay(relay)), _) => self.relay(&relay, demands).await.map_err(Stuck::NoWay),
            (Some(Way::Closed | Way::Exchangers) | None, _) => Err(Stuck::Closed),
        }
    }

    fn way(&self, place: Place<'_>) -> Option<Way> {
        match place {
            Place::Store => None,
            Place::Relay(relay) => relay.parse().ok().map(Way::Relay),
            Place::Domain(domain) => Some(self.routing.outward().way(domain).clone()),
        }
    }

    async fn relay(&self, relay: &RelayHost, demands: Demands) -> Result<Hop, NoWay> {
        let (hop, begins, login) = self.relays.manner(relay);
        let targets = self.resolver.relay(&hop, demands).await?;
        Ok(Hop { targets, begins, login })
    }
}
