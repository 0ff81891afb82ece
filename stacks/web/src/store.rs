//! The store that all instances share: logins that wait for their browser, and sessions. Every entry ends by itself.
//!
//! The store contains code verifiers and tokens, so no other program may read or write it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use redis::{AsyncCommands, aio::ConnectionManager};

/// Redis has its own limit (`maxmemory`).
const MOST_ENTRIES: usize = 100_000;

#[derive(Clone)]
pub enum Store {
    Redis(ConnectionManager),
    /// For one instance. The memory is lost when the program ends.
    Memory(Arc<Mutex<BTreeMap<String, Entry>>>),
}

pub struct Entry {
    value: String,
    ends_at: Instant,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    #[error("the memory is full: {MOST_ENTRIES} entries")]
    Full,
}

impl Store {
    pub async fn open(redis: Option<&str>) -> redis::RedisResult<Self> {
        match redis {
            Some(url) => Ok(Self::Redis(ConnectionManager::new(redis::Client::open(url)?).await?)),
            None => Ok(Self::Memory(Arc::default())),
        }
    }

    pub async fn put(&self, key: &str, value: String, time_to_live: Duration) -> Result<(), StoreError> {
        match self {
            Self::Redis(connection) => Ok(connection.clone().set_ex(key, value, time_to_live.as_secs()).await?),
            Self::Memory(entries) => {
                let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
                let now = Instant::now();
                if entries.len() >= MOST_ENTRIES {
                    entries.retain(|_, entry| now < entry.ends_at);
                }
                if entries.len() >= MOST_ENTRIES {
                    return Err(StoreError::Full);
                }
                entries.insert(key.to_owned(), Entry { value, ends_at: now + time_to_live });
                Ok(())
            }
        }
    }

    pub async fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        match self {
            Self::Redis(connection) => Ok(connection.clone().get(key).await?),
            Self::Memory(entries) => {
                let entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(entries.get(key).filter(|entry| Instant::now() < entry.ends_at).map(|entry| entry.value.clone()))
            }
        }
    }

    /// Deletes an entry and returns it. If several requests ask for it, on all instances, only one gets it.
    pub async fn take(&self, key: &str) -> Result<Option<String>, StoreError> {
        match self {
            Self::Redis(connection) => Ok(connection.clone().get_del(key).await?),
            Self::Memory(entries) => {
                let entry = entries.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
                Ok(entry.filter(|entry| Instant::now() < entry.ends_at).map(|entry| entry.value))
            }
        }
    }
}
