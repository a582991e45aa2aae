/* Preloaded into a process: from the n-th write to a file below FAULTY_DISK on, writes fail or are cut short, until the file FAULTY_DISK_OK is there. */
#define _GNU_SOURCE
