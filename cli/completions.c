/* SPDX-License-Identifier: MIT */
/*
 * completions.c - prints the completion for a shell, from the command table
 *
 * A program of the build, not installed: "completions bash", "completions zsh".
 * What the table cannot know (which devices there are) the printed script looks
 * up itself.
 */
#include "cli.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

/* The commands whose operands are devices that somebody has bound before. */
static const char *const on_bound[] = { "cp", "bench", "status", "window", "unbind" };

static bool is_shown(const struct argp_option *option)
{
	return option->name && !(option->flags & (OPTION_HIDDEN | OPTION_DOC));
}

static bool ends(const struct argp_option *option)
{
	return !option->name && !option->key && !option->doc && !option->group;
}

static bool takes_file(const struct argp_option *option)
{
	static const char *const kinds[] = { "FILE", "PATH", "DIR", "DEV" };
	size_t i;

	for (i = 0; option->arg && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(option->arg, kinds[i]))
			return true;
	return false;
}

/* Words of the usage that are typed as they are: "add DEVICE ...\nremove ...". */
static const char *subcommands(const struct command *command)
{
	const char *words = "";
	const char *line = command->usage;

	while (line && *line) {
		if (islower((unsigned char)*line))
			words = text("%s%s%.*s", words, *words ? " " : "",
				     (int)strcspn(line, " \n"), line);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return words;
}

static const char *command_names(void)
{
	const struct command *command;
	const char *names = "";
	size_t i;

	for (i = 0; (command = command_at(i)); i++)
		names = text("%s%s%s", names, i ? " " : "", command->name);
	return names;
}

/* What else an operand may be, besides the words. */
static const char *devices(const struct command *command)
{
	size_t i;

	if (!strstr(command->usage, "DEVICE"))
		return "";
	for (i = 0; i < sizeof(on_bound) / sizeof(*on_bound); i++)
		if (!strcmp(command->name, on_bound[i]))
			return "bound";
	return "all";
}

static const char *files(const struct command *command)
{
	return strstr(command->usage, "FILE") || strstr(command->usage, "TARGET") ? "yes" : "";
}

static const char *words(const struct command *command)
{
	return strstr(command->usage, "COMMAND") ? command_names() : subcommands(command);
}

/* @string for use between single quotes, with a backslash before each of @special. */
static const char *quoted(const char *string, const char *special)
{
	const char *result = "";

	for (; *string; string++) {
		if (*string == '\'')
			result = text("%s'\\''", result);
		else
			result = text("%s%s%c", result, strchr(special, *string) ? "\\" : "", *string);
	}
	return result;
}

static const char head[] =
"# Completion of vfio-p2p.  Made from the command table when it was built.\n"
"\n"
"# The PCI addresses of all devices, or of those that are bound.\n"
"_vfio_p2p_devices() {\n"
"	local folder=/sys/bus/pci/devices\n"
"	[ \"$1\" = all ] || folder=/sys/bus/pci/drivers/p2p-vfio-pci\n"
"	command ls \"$folder\" 2>/dev/null | command grep :\n"
"}\n"
"\n";

static void bash_options(const struct argp_option *option,
			 bool (*wanted)(const struct argp_option *))
{
	for (; !ends(option); option++)
		if (is_shown(option) && wanted(option))
			printf("--%s ", option->name);
}

static bool any(const struct argp_option *option)
{
	return option;
}

static bool takes_value(const struct argp_option *option)
{
	return option->arg && !takes_file(option);
}

static void bash_command(const struct command *command)
{
	printf("	%s)\n		options='", command->name);
	bash_options(command->options, any);
	bash_options(command_common, any);
	printf("'\n		file_options='");
	bash_options(command->options, takes_file);
	printf("'\n		value_options='");
	bash_options(command->options, takes_value);
	printf("'\n		words='%s' devices='%s' files='%s'\n		;;\n",
	       words(command), devices(command), files(command));
}

/*
 * readline cuts words at colons, which PCI addresses have, so the word is taken
 * from the line, and what stands before its last colon is taken from the answers.
 */
static const char bash_tail[] =
"	esac\n"
"}\n"
"\n"
"_vfio_p2p() {\n"
"	local line=${COMP_LINE:0:COMP_POINT} word before candidates=\n"
"	local options file_options value_options words devices files\n"
"	word=${line##*[[:space:]]}\n"
"	read -ra before <<<\"${line%\"$word\"}\"\n"
"	COMPREPLY=()\n"
"	if [ ${#before[@]} -lt 2 ]; then\n"
"		_vfio_p2p_command help\n"
"		COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
"		return\n"
"	fi\n"
"	_vfio_p2p_command \"${before[1]}\"\n"
"	before=${before[${#before[@]} - 1]}\n"
"	case \" $value_options \" in *\" $before \"*) return ;; esac\n"
"	case \" $file_options \" in *\" $before \"*) options= words= devices= files=yes ;; esac\n"
"	case $word in\n"
"	-*) candidates=$options ;;\n"
"	*)\n"
"		candidates=$words\n"
"		[ -z \"$devices\" ] || candidates+=\" $(_vfio_p2p_devices \"$devices\")\"\n"
"		;;\n"
"	esac\n"
"	COMPREPLY=($(compgen -W \"$candidates\" -- \"$word\"))\n"
"	if [ -n \"$files\" ] && { [ -z \"$word\" ] || [ ${#COMPREPLY[@]} -eq 0 ]; }; then\n"
"		compopt -o filenames 2>/dev/null\n"
"		COMPREPLY+=($(compgen -f -- \"$word\"))\n"
"	fi\n"
"	COMPREPLY=(\"${COMPREPLY[@]#\"${word%\"${word##*:}\"}\"}\")\n"
"}\n"
"\n"
"complete -F _vfio_p2p vfio-p2p\n";

static void print_bash(void)
{
	const struct command *command;
	size_t i;

	fputs(head, stdout);
	fputs("# What the command table says of command $1.\n"
	      "_vfio_p2p_command() {\n"
	      "	options= file_options= value_options= words= devices= files=\n"
	      "	case $1 in\n", stdout);
	for (i = 0; (command = command_at(i)); i++)
		bash_command(command);
	fputs(bash_tail, stdout);
}

static void zsh_options(const struct argp_option *option)
{
	for (; !ends(option); option++) {
		if (!is_shown(option))
			continue;
		printf("			'*--%s%s[%s]", option->name, option->arg ? "=" : "",
		       quoted(option->doc, "[]\\"));
		if (option->arg)
			printf(":%s:%s", quoted(option->arg, ":\\"),
			       takes_file(option) ? "_files" : " ");
		fputs("' \\\n", stdout);
	}
}

static void zsh_command(const struct command *command)
{
	printf("	%s)\n		_arguments \\\n", command->name);
	zsh_options(command->options);
	zsh_options(command_common);
	printf("			'*:operand:_vfio_p2p_operands \"%s\" \"%s\" \"%s\"'\n		;;\n",
	       words(command), devices(command), files(command));
}

static const char zsh_operands[] =
"# The operands: words that are typed as they are, devices, files.\n"
"_vfio_p2p_operands() {\n"
"	local -a found\n"
"	found=(${(z)1})\n"
"	[[ -z $2 ]] || found+=(${(f)\"$(_vfio_p2p_devices $2)\"})\n"
"	compadd -a found\n"
"	[[ -z $3 ]] || _files\n"
"}\n"
"\n";

static void print_zsh(void)
{
	const struct command *command;
	size_t i;

	fputs("#compdef vfio-p2p\n", stdout);
	fputs(head, stdout);
	fputs(zsh_operands, stdout);
	fputs("if (( CURRENT == 2 )); then\n	local -a commands=(\n", stdout);
	for (i = 0; (command = command_at(i)); i++)
		printf("		'%s:%s'\n", command->name, quoted(command->summary, ":\\"));
	fputs("	)\n	_describe command commands\n	return\nfi\n"
	      "shift words\n(( CURRENT-- ))\ncase $words[1] in\n", stdout);
	for (i = 0; (command = command_at(i)); i++)
		zsh_command(command);
	fputs("esac\n", stdout);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "bash")) {
		print_bash();
	} else if (argc == 2 && !strcmp(argv[1], "zsh")) {
		print_zsh();
	} else {
		fputs("usage: completions bash | zsh\n", stderr);
		return EXIT_USAGE;
	}
	return output_flush(EXIT_OK);
}
