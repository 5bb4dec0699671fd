/* pulse: does a thread answer? Who asks waits for the thread to come by its beat; the thread must be woken by the means
 * it has. No lock is taken while a pulse's own is held. */
#ifndef MAILREEVE_BASE_PULSE_H
#define MAILREEVE_BASE_PULSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct pulse {
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t beaten;
	uint64_t asked, answered;
};

void pulse_init(struct pulse *pulse);
void pulse_destroy(struct pulse *pulse); /* nobody may wait */

/* Of the thread: does somebody ask? */
bool pulse_asked(struct pulse *pulse);
/* Of the thread: here I am. Answers all who have asked. */
void pulse_beat(struct pulse *pulse);

/* Of who asks: a ticket for pulse_wait(), to be drawn before the thread is woken. */
uint64_t pulse_ask(struct pulse *pulse);
/* False: the thread has not come by until the deadline (monotonic). */
bool pulse_wait(struct pulse *pulse, uint64_t ticket, uint64_t deadline);

#endif
