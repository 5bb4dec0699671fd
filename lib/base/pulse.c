#include "lib/base/pulse.h"

#include "lib/base/clock.h"

#include <errno.h>

void pulse_init(struct pulse *pulse)
{
	pthread_mutex_init(&pulse->lock, NULL);
	pthread_cond_init(&pulse->beaten, NULL);
	pulse->asked = pulse->answered = 0;
}

void pulse_destroy(struct pulse *pulse)
{
	pthread_mutex_destroy(&pulse->lock);
	pthread_cond_destroy(&pulse->beaten);
}

bool pulse_asked(struct pulse *pulse)
{
	pthread_mutex_lock(&pulse->lock);
	bool asked = pulse->asked != pulse->answered;
	pthread_mutex_unlock(&pulse->lock);
	return asked;
}

void pulse_beat(struct pulse *pulse)
{
	pthread_mutex_lock(&pulse->lock);
	if (pulse->asked != pulse->answered) {
		pulse->answered = pulse->asked;
		pthread_cond_broadcast(&pulse->beaten);
	}
	pthread_mutex_unlock(&pulse->lock);
}

uint64_t pulse_ask(struct pulse *pulse)
{
	pthread_mutex_lock(&pulse->lock);
	uint64_t ticket = ++pulse->asked;
	pthread_mutex_unlock(&pulse->lock);
	return ticket;
}

bool pulse_wait(struct pulse *pulse, uint64_t ticket, uint64_t deadline)
{
	struct timespec until = clock_timespec(deadline);
	int error = 0;
	pthread_mutex_lock(&pulse->lock);
	while (pulse->answered < ticket && error != ETIMEDOUT) {
		error = pthread_cond_clockwait(&pulse->beaten, &pulse->lock, CLOCK_MONOTONIC, &until);
	}
	bool answered = pulse->answered >= ticket;
	pthread_mutex_unlock(&pulse->lock);
	return answered;
}
