#include "milter/edits.h"

bool edits_apply(const struct session *session, const struct edit_target *target)
{
	for (size_t i = 0; i < session->edit_count; i++) {
		const struct edit *edit = &session->edits[i];
		bool good = false;
		switch (edit->kind) {
		case EDIT_DELETE_HEADER:
			good = target->delete_header(target->context, edit->name, (int)edit->index);
			break;
		case EDIT_INSERT_HEADER:
			good = target->insert_header(
			    target->context, edit->name,
			    arena_printf(session->arena, "%s%s", target->leading_space ? " " : "", edit->value), (int)edit->index);
			break;
		case EDIT_DELETE_RECIPIENT:
			good = target->delete_recipient(target->context, edit->value);
			break;
		}
		if (!good) {
			return false;
		}
	}
	return true;
}
