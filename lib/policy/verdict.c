#include "lib/policy/verdict.h"

#include <stddef.h>

const char *verdict_action_name(enum verdict_action action)
{
	switch (action) {
	case VERDICT_ACCEPT:
		return "accept";
	case VERDICT_TAG:
		return "tag";
	case VERDICT_QUARANTINE:
		return "quarantine";
	case VERDICT_TEMPFAIL:
		return "tempfail";
	case VERDICT_DISCARD:
		return "discard";
	case VERDICT_REJECT:
		return "reject";
	}
	return NULL;
}

const char *action_kind_name(enum action_kind kind)
{
	switch (kind) {
	case ACTION_IGNORE:
		return "ignore";
	case ACTION_SCORE:
		return "score";
	case ACTION_TAG:
		return "tag";
	case ACTION_QUARANTINE:
		return "quarantine";
	case ACTION_TEMPFAIL:
		return "tempfail";
	case ACTION_DISCARD:
		return "discard";
	case ACTION_REJECT:
		return "reject";
	}
	return NULL;
}

const char *stage_mode_name(enum stage_mode mode)
{
	switch (mode) {
	case MODE_OFF:
		return "off";
	case MODE_OBSERVE:
		return "observe";
	case MODE_TAG:
		return "tag";
	case MODE_ENFORCE:
		return "enforce";
	}
	return NULL;
}
