//! The endpoint as clients meet it: a real listener, real clients, a toy schema.

mod events;
mod limits;
mod single;
mod socket_ends;
mod sockets;
mod toy;
mod uploads;
