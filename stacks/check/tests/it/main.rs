//! What HTTP clients do with good and bad responses: as the programs beside this package use them, and switch by
//! switch.

mod programs;
mod servers;
mod switches;
