// libsystemd: what a service is told by systemd and tells it, the journal, and which unit a process belongs to.

#ifndef CSYSTEMD_H
#define CSYSTEMD_H

#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <systemd/sd-login.h>

#endif
