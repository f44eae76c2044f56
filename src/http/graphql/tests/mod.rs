//! The endpoint as clients meet it: a real listener, real clients, a toy schema.

mod events;
mod limits;
mod parts;
mod single;
mod socket_ends;
mod sockets;
mod toy;
mod uploads;
