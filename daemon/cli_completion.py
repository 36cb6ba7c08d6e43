"""`completion`: the script that makes TAB work, and what it asks."""

import os
import sys
from contextlib import suppress

import click

from envkiln.daemon.completion import Line, candidates
from envkiln.daemon.errors import ExitCode

_BASH = """\
# In ~/.bashrc (bash 4.4 or later): eval "$(envkiln completion bash)"
_envkiln() {
    local kind text help
    COMPREPLY=()
    while IFS=$'\\t' read -r kind text help; do
        case $kind in
            plain) COMPREPLY+=("$text") ;;
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
        esac
    done < <(command envkiln completion bash --line="${COMP_LINE:0:COMP_POINT}" --breaks="$COMP_WORDBREAKS" 2>/dev/null)
}
complete -o nosort -F _envkiln envkiln
"""
_ZSH = """\
#compdef envkiln
# In ~/.zshrc, below compinit: source <(envkiln completion zsh)
_envkiln() {
    local kind text help paths= line="${(j: :)words[1,CURRENT-1]} $QIPREFIX$PREFIX"
    local -a texts shown rows
    while IFS=$'\\t' read -r kind text help; do
        case $kind in
            plain) texts+=("$text"); shown+=("$text${help:+  -- $help}"); [[ -n $help ]] && rows=(-l) ;;
            file) paths=/. ;;
            dir) paths=/ ;;
        esac
    done < <(command envkiln completion zsh --line="$line" 2>/dev/null)
    case $paths in
        /.) _files ;;
        /) _files -/ ;;
        *) (( $#texts )) && compadd -V envkiln $rows -d shown -a texts ;;
    esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _envkiln "$@"
else
    compdef _envkiln envkiln
fi
"""
_FISH = """\
# Once: envkiln completion fish > ~/.config/fish/completions/envkiln.fish
function __envkiln
    set -l line (commandline -cp | string collect)
    for found in (command envkiln completion fish --line="$line" 2>/dev/null)
        set -l parts (string split -m 2 \\t -- $found)
        switch $parts[1]
            case plain
                printf '%s\\t%s\\n' $parts[2] "$parts[3]"
            case file
                __fish_complete_path (commandline -ct)
            case dir
                __fish_complete_directories (commandline -ct)
        end
    end
end
complete -c envkiln -f -k -a '(__envkiln)'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@click.command()
@click.argument("shell", type=click.Choice(list(_SCRIPTS)))
@click.option("--line", hidden=True, help="Print what may stand at the end of this line.")
@click.option("--breaks", hidden=True, default="", help="Where bash starts a word anew.")
@click.pass_context
def completion(context: click.Context, shell: str, line: str | None, breaks: str) -> int:
    """Print the script that completes commands, options and environment ids when you press TAB.

    \b
    bash, in ~/.bashrc:                eval "$(envkiln completion bash)"
    zsh, in ~/.zshrc, below compinit:  source <(envkiln completion zsh)
    fish, once:  envkiln completion fish > ~/.config/fish/completions/envkiln.fish

    The ids are those of the service, or of its index while it is down.

    Example: eval "$(envkiln completion bash)"
    """
    if line is None:
        click.echo(_SCRIPTS[shell], nl=False)
        return ExitCode.DONE
    root = context.find_root().command
    with suppress(Exception):  # TAB never shows an error
        assert isinstance(root, click.Group)  # noqa: S101 -- our own
        _offer(root, shell, Line.parse(line, breaks))
    return ExitCode.DONE


def _offer(root: click.Group, shell: str, line: Line) -> None:
    """Print one line for each candidate: its kind, its text and what it is, with tabs between."""
    for it in candidates(root, line, with_help=shell != "bash"):
        text = line.for_bash(it.text) if shell == "bash" else it.text
        sys.stdout.buffer.write(os.fsencode(f"{it.kind}\t{text}\t{' '.join(it.help.split())}\n"))
    sys.stdout.buffer.flush()
