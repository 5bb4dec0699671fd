#include "inspect/ole.h"

#include "inspect/file_format.h"

enum {
	HEADER = 512,
	DIFAT_IN_HEADER = 109,
	ENTRY = 128,
	MINI_SECTOR = 64,
	SECTOR_MAX = 0xfffffff9, /* numbers from here on mean something else: end, free, FAT, DIFAT */
};

static const uint32_t sector_end = 0xfffffffe;

static size_t sectors_in(const struct ole *ole)
{
	return ole->content.len / ole->sector + 1;
}

static struct slice sector_at(const struct ole *ole, uint32_t number)
{
	/* Sector 0 follows the header, which takes a sector of its own. */
	return number >= SECTOR_MAX ? (struct slice){"", 0}
	                            : bytes_part(ole->content, ((size_t)number + 1) * ole->sector, ole->sector);
}

/* The sector after this one; sector_end, also when the FAT does not know. */
static uint32_t next_sector(struct ole *ole, uint32_t number)
{
	size_t per = ole->sector / 4;
	if (number >= SECTOR_MAX || number / per >= ole->fat_count) {
		ole->broken = true;
		return sector_end;
	}
	struct slice part = sector_at(ole, ole->fat_sectors[number / per]);
	size_t at = number % per * 4;
	if (at + 4 > part.len) {
		ole->broken = true;
		return sector_end;
	}
	return bytes_le32(part, at);
}

static void read_fat(struct ole *ole, struct arena *arena)
{
	size_t most = sectors_in(ole) / (ole->sector / 4) + 2, per = ole->sector / 4 - 1;
	uint32_t more = bytes_le32(ole->content, 68);
	ole->fat_sectors = arena_alloc(arena, most * sizeof *ole->fat_sectors);
	for (size_t i = 0; i < DIFAT_IN_HEADER && ole->fat_count < most; i++) {
		uint32_t number = bytes_le32(ole->content, 76 + i * 4);
		if (number < SECTOR_MAX) {
			ole->fat_sectors[ole->fat_count++] = number;
		}
	}
	for (size_t steps = 0; more < SECTOR_MAX && steps < sectors_in(ole); steps++) {
		struct slice part = sector_at(ole, more);
		for (size_t i = 0; i < per && ole->fat_count < most; i++) {
			uint32_t number = i * 4 + 4 <= part.len ? bytes_le32(part, i * 4) : UINT32_MAX;
			if (number < SECTOR_MAX) {
				ole->fat_sectors[ole->fat_count++] = number;
			}
		}
		more = per * 4 + 4 <= part.len ? bytes_le32(part, per * 4) : UINT32_MAX;
	}
}

static void copy_name(struct slice raw, size_t bytes, struct arena *arena, char name_r[OLE_NAME_MAX])
{
	/* The first letter of special streams is a number below 32, which file_scan_name_wide() does not keep. */
	bool special = bytes >= 2 && raw.data[1] == '\0' && (unsigned char)raw.data[0] < 32;
	const char *name = file_scan_name_wide(arena, bytes_part(raw, 0, bytes > 64 ? 64 : bytes), false);
	size_t n = strlen(name);
	n = n < OLE_NAME_MAX - 1 ? n : OLE_NAME_MAX - 1;
	memcpy(name_r, name, n);
	name_r[n] = '\0';
	if (special && n > 0) {
		name_r[0] = raw.data[0];
	}
}

static void read_entry(struct slice raw, struct arena *arena, struct ole_entry *entry)
{
	uint32_t kind = (unsigned char)raw.data[66];
	entry->kind = kind == 1 || kind == 2 || kind == 5 ? (enum ole_kind)kind : OLE_KIND_NONE;
	entry->start = bytes_le32(raw, 116);
	entry->size = bytes_le64(raw, 120);
	entry->parent = -1;
	memcpy(entry->class_id, raw.data + 80, sizeof entry->class_id);
	copy_name(raw, bytes_le16(raw, 64), arena, entry->name);
}

/* Left, right and child of each entry stay in *links: a tree for each storage. */
static void read_directory(struct ole *ole, struct arena *arena, uint32_t (*links)[3])
{
	uint32_t number = bytes_le32(ole->content, 48);
	for (size_t steps = 0; number < SECTOR_MAX && steps < sectors_in(ole); steps++) {
		struct slice part = sector_at(ole, number);
		for (size_t at = 0; at + ENTRY <= part.len && ole->count < ole->most; at += ENTRY) {
			struct slice raw = bytes_part(part, at, ENTRY);
			for (size_t k = 0; k < 3; k++) {
				links[ole->count][k] = bytes_le32(raw, 68 + 4 * k);
			}
			read_entry(raw, arena, &ole->entries[ole->count++]);
		}
		number = next_sector(ole, number);
	}
}

/* Who is in which storage. Each entry is taken once, so that loops end. */
static void find_parents(struct ole *ole, struct arena *arena, uint32_t (*links)[3])
{
	uint32_t *stack = arena_alloc(arena, (ole->count + 1) * sizeof *stack);
	bool *seen = arena_alloc(arena, ole->count + 1);
	for (size_t storage = 0; storage < ole->count; storage++) {
		size_t top = 0;
		uint32_t child = links[storage][2];
		if (ole->entries[storage].kind != OLE_KIND_STREAM && child < ole->count && !seen[child]) {
			seen[child] = true;
			stack[top++] = child;
		}
		while (top > 0) {
			uint32_t at = stack[--top];
			ole->entries[at].parent = (int)storage;
			for (size_t k = 0; k < 2; k++) {
				uint32_t next = links[at][k];
				if (next < ole->count && !seen[next]) {
					seen[next] = true;
					stack[top++] = next;
				}
			}
		}
	}
}

static void read_mini_stream(struct ole *ole, struct arena *arena)
{
	uint32_t number = ole->count > 0 ? ole->entries[0].start : sector_end;
	size_t most = sectors_in(ole);
	ole->mini_stream = arena_alloc(arena, most * sizeof *ole->mini_stream);
	while (number < SECTOR_MAX && ole->mini_count < most) {
		ole->mini_stream[ole->mini_count++] = number;
		number = next_sector(ole, number);
	}
}

struct ole *ole_open(struct slice content, struct arena *arena)
{
	uint32_t shift = bytes_le16(content, 30);
	if (!bytes_are(content, 0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8) || content.len < HEADER) {
		return NULL;
	}
	struct ole *ole = arena_alloc(arena, sizeof *ole);
	ole->content = content;
	/* Anything else than 512 or 4096 is not allowed; readers take it for 512. */
	ole->sector = shift == 12 ? 4096 : 512;
	ole->mini_cutoff = bytes_le32(content, 56) == 0 ? 4096 : bytes_le32(content, 56);
	ole->mini_fat = bytes_le32(content, 60);
	ole->most = content.len / ENTRY < OLE_ENTRIES_MAX ? content.len / ENTRY : OLE_ENTRIES_MAX;
	uint32_t(*links)[3] = arena_alloc(arena, ole->most * sizeof *links);
	ole->entries = arena_alloc(arena, ole->most * sizeof *ole->entries);
	read_fat(ole, arena);
	read_directory(ole, arena, links);
	find_parents(ole, arena, links);
	read_mini_stream(ole, arena);
	ole->broken = ole->broken || ole->count == 0 || ole->entries[0].kind != OLE_KIND_ROOT;
	return ole;
}

static bool read_large(struct ole *ole, const struct ole_entry *entry, uint64_t left, struct part_budget *budget,
                       struct file_bytes *bytes_r)
{
	uint32_t number = entry->start;
	for (size_t steps = 0; left > 0 && number < SECTOR_MAX && steps < sectors_in(ole); steps++) {
		struct slice part = bytes_part(sector_at(ole, number), 0, left < ole->sector ? (size_t)left : ole->sector);
		if (!file_bytes_add(bytes_r, budget, part.data, part.len)) {
			return false;
		}
		left -= part.len;
		ole->broken = ole->broken || part.len == 0;
		number = part.len == 0 ? sector_end : next_sector(ole, number);
	}
	ole->broken = ole->broken || left > 0;
	return true;
}

/* Where mini sector `number` is in the file. */
static struct slice mini_at(const struct ole *ole, uint32_t number)
{
	size_t at = (size_t)number * MINI_SECTOR;
	if (at / ole->sector >= ole->mini_count) {
		return (struct slice){"", 0};
	}
	return bytes_part(sector_at(ole, ole->mini_stream[at / ole->sector]), at % ole->sector, MINI_SECTOR);
}

/* The mini FAT as a table: mini streams are short, but many. */
static uint32_t next_mini(struct ole *ole, const uint32_t *table, size_t count, uint32_t number)
{
	struct slice part =
	    number / (ole->sector / 4) < count ? sector_at(ole, table[number / (ole->sector / 4)]) : (struct slice){"", 0};
	size_t at = number % (ole->sector / 4) * 4;
	return at + 4 <= part.len ? bytes_le32(part, at) : sector_end;
}

static size_t read_mini_fat(struct ole *ole, uint32_t *table, size_t most)
{
	size_t count = 0;
	for (uint32_t number = ole->mini_fat; number < SECTOR_MAX && count < most; number = next_sector(ole, number)) {
		table[count++] = number;
	}
	return count;
}

enum { MINI_FAT_MAX = 1024 };

static bool read_mini(struct ole *ole, const struct ole_entry *entry, uint64_t left, struct part_budget *budget,
                      struct file_bytes *bytes_r)
{
	uint32_t table[MINI_FAT_MAX];
	size_t count = read_mini_fat(ole, table, MINI_FAT_MAX);
	uint32_t number = entry->start;
	while (left > 0 && number < SECTOR_MAX) {
		struct slice part =
		    bytes_part(mini_at(ole, number), 0, left < MINI_SECTOR ? (size_t)left : (size_t)MINI_SECTOR);
		if (!file_bytes_add(bytes_r, budget, part.data, part.len)) {
			return false;
		}
		left -= part.len; /* which ends loops too */
		number = part.len == 0 ? sector_end : next_mini(ole, table, count, number);
	}
	ole->broken = ole->broken || left > 0;
	return true;
}

bool ole_read(struct ole *ole, const struct ole_entry *entry, size_t most, struct part_budget *budget,
              struct file_bytes *bytes_r)
{
	uint64_t left = entry->size < most ? entry->size : most;
	left = left > ole->content.len ? ole->content.len : left;
	if (entry->size < ole->mini_cutoff && entry->kind == OLE_KIND_STREAM) {
		return read_mini(ole, entry, left, budget, bytes_r);
	}
	return read_large(ole, entry, left, budget, bytes_r);
}

const struct ole_entry *ole_find(const struct ole *ole, int parent, const char *name)
{
	for (size_t i = 0; i < ole->count; i++) {
		const struct ole_entry *entry = &ole->entries[i];
		if (entry->kind != OLE_KIND_NONE && (parent == -2 || entry->parent == parent) &&
		    slice_equal_nocase(slice_from(entry->name), slice_from(name))) {
			return entry;
		}
	}
	return NULL;
}
