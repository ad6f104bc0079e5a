//! Users to add at the start.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::ConfigError;
use crate::directory::Account;

/// What was given as `ADDRESS:PASSWORD`, not looked at yet: whoever refuses it on the way must not be able to show it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct GivenUser(String);

/// A user to add or update.
#[derive(Clone)]
pub struct NewUser {
    /// Whose address.
    pub account: Account,
    /// The password; not empty.
    pub password: Zeroizing<String>,
}

impl GivenUser {
    /// Takes it apart at its first `:`, which no address has.
    pub(super) fn parse(&self) -> Result<NewUser, ConfigError> {
        let (address, password) = self.0.split_once(':').ok_or(ConfigError::NoPassword)?;
        if password.is_empty() {
            return Err(ConfigError::NoPassword);
        }
        let account = Account::new(address).map_err(ConfigError::NoAddress)?;
        Ok(NewUser { account, password: Zeroizing::new(password.to_owned()) })
    }
}

impl FromStr for GivenUser {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for GivenUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GivenUser(..)")
    }
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser").field("account", &self.account).finish_non_exhaustive()
    }
}
