import ArgumentParser
import LockdModel

/// What a shell reads to complete the words of lockctl: the script of ArgumentParser, and what that knows nothing of.
///
/// It has no words for a command behind the options, which is to be completed as if it stood alone, for the line of flock(1), and for what help is asked about.
enum CompletionScript {
    /// ``Lockctl``, as far as its scripts go.
    private struct Words: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "lockctl",
            version: LockdVersion.current,
            subcommands: Lockctl.configuration.subcommands.map { $0 == Flock.self ? FlockWords.self : $0 }
        )
    }

    /// The shell whose script the arguments ask for.
    static func shell(askedForBy arguments: [String]) -> CompletionShell? {
        let option = "--generate-completion-script"
        guard let first = arguments.first else { return nil }
        if first.hasPrefix(option + "=") { return CompletionShell(rawValue: String(first.dropFirst(option.count + 1))) }
        guard first == option else { return nil }
        return arguments.count > 1 ? CompletionShell(rawValue: arguments[1]) : .autodetected()
    }

    static func text(for shell: CompletionShell) -> String {
        let script = Words.completionScript(for: shell)
        let commands = Lockctl.commands.joined(separator: " ")
        switch shell.rawValue {
        case "bash": return inserting(wordsBeforeCommand + inBash, "__lockctl_beside", into: script, commands)
        case "zsh": return inserting(wordsBeforeCommand + inZsh, "__lockctl_beside", into: script, commands)
        default:
            let guarded = ["flags_or_options", "positional"].reduce(script) { script, what in
                let head = "function __lockctl_should_offer_completions_for_\(what) "
                let line = "    __lockctl_words_before_command >/dev/null; and return 1"
                return inserting(line, behind: head, in: script)
            }
            return guarded + "\n" + inFish.replacing("COMMANDS", with: commands)
        }
    }

    /// The script with `functions` in it, and the call of one of them as the first that its own main function does.
    private static func inserting(
        _ functions: String,
        _ call: String,
        into script: String,
        _ commands: String
    ) -> String {
        let head = "_lockctl() {"
        let called = inserting("    \(call) \"$@\" && return 0", behind: head, in: script)
        let named = functions.replacing("COMMANDS", with: commands)
        return called.replacing("\n" + head, with: "\n" + named + "\n\n" + head)
    }

    /// The script with one more line behind the first that begins with `head`.
    private static func inserting(_ line: String, behind head: String, in script: String) -> String {
        var lines = script.split(separator: "\n", omittingEmptySubsequences: false)
        if let place = lines.firstIndex(where: { $0.hasPrefix(head) }) { lines.insert(line[...], at: place + 1) }
        return lines.joined(separator: "\n")
    }

    /// For bash and zsh.
    private static let wordsBeforeCommand = #"""
        # How many words stand before the command that the cursor is in, in words_before; 0 if it is in none.
        # The arguments are the words before that of the cursor, but for the first, which is lockctl, and that of the cursor as the first of all.
        __lockctl_words_before_command() {
            local current="$1" subcommand="${2-}" file_is_missing=true
            local -i count=2
            words_before=0
            (( $# > 1 )) || return 0
            shift 2
            case "${subcommand}" in
            run|once)
                while (( $# > 0 )); do
                    count=$((count + 1))
                    [[ "$1" == -- ]] && words_before="${count}" && return 0
                    shift
                done
                ;;
            flock)
                while (( $# > 0 )); do
                    case "$1" in
                    --)
                        current=
                        shift
                        count=$((count + 1))
                        break
                        ;;
                    -w|-E|-c|--wait|--timeout|--conflict-exit-code|--command|--start|--length|--fd)
                        [[ "$1" == --fd ]] && file_is_missing=false
                        shift
                        count=$((count + 1))
                        # For bash it is a word of its own.
                        [[ "${1-}" == '=' ]] && shift && count=$((count + 1))
                        # The cursor is in the value.
                        (( $# > 0 )) || return 0
                        ;;
                    --fd=*) file_is_missing=false ;;
                    -*) ;;
                    *) break ;;
                    esac
                    shift
                    count=$((count + 1))
                done
                if "${file_is_missing}"; then
                    (( $# > 0 )) || return 0
                    count=$((count + 1))
                    words_before="${count}"
                elif (( $# > 0 )) || [[ "${current}" != -* ]]; then
                    words_before="${count}"
                fi
                ;;
            esac
        }


        """#

    private static let inBash = #"""
        # Completes what no option or value of lockctl is.
        __lockctl_beside() {
            local -r cur="${2}"
            local words_before completer
            local -i colon="${COMP_CWORD}"

            if [[ "${COMP_WORDS[1]}" == help && "${COMP_CWORD}" -eq 2 ]]; then
                __lockctl_add_completions -W "$(printf '%s\n' COMMANDS)"
                return 0
            fi

            __lockctl_words_before_command "${cur}" "${COMP_WORDS[@]:1:COMP_CWORD - 1}"
            if [[ "${words_before}" -eq 0 ]]; then
                # A colon is a word of its own here.
                [[ "${COMP_WORDS[colon]}" == : ]] || colon=$((colon - 1))
                if [[ "${colon}" -gt 2 && "${COMP_WORDS[*]:colon - 1:2}" == 'signal :' ]]; then
                    COMPREPLY=($(compgen -W 'SIGNALS' -- "${cur#:}"))
                    return 0
                fi
                return 1
            fi

            # A line for a shell is no command with words.
            [[ "${COMP_WORDS[1]}" == flock && "${COMP_WORDS[words_before]}" == -* ]] && return 0
            for completer in _comp_command_offset _command_offset; do
                if declare -F "${completer}" >/dev/null; then
                    # What lockctl is completed with, and the command perhaps not.
                    compopt +o filenames 2>/dev/null
                    "${completer}" "${words_before}"
                    return 0
                fi
            done
            # Without bash-completion nobody knows what the command wants.
            if [[ "${COMP_CWORD}" -eq "${words_before}" ]]; then
                __lockctl_add_completions -c
                __lockctl_add_completions -d
            else
                __lockctl_add_completions -f
            fi
            return 0
        }
        """#.replacing("SIGNALS", with: SignalName.names.joined(separator: " "))

    private static let inZsh = #"""
        # Completes what no option or value of lockctl is.
        __lockctl_beside() {
            local words_before
            if [[ "${words[2]}" == help ]] && (( CURRENT == 3 )); then
                compadd -- COMMANDS
                return 0
            fi
            __lockctl_words_before_command "${words[CURRENT]}" "${(@)words[2,CURRENT-1]}"
            (( words_before > 0 )) || return 1
            # A line for a shell is no command with words.
            [[ "${words[2]}" == flock && "${words[words_before+1]}" == -* ]] && return 0
            words=("${(@)words[words_before+1,-1]}")
            (( CURRENT -= words_before ))
            _normal -p lockctl
            return 0
        }
        """#

    private static let inFish = #"""
        # Says how many words stand before the command that the cursor is in.
        function __lockctl_words_before_command
            set -l tokens (__lockctl_tokens -pc)
            set -l total (count $tokens)
            test $total -ge 2; or return 1
            switch $tokens[2]
                case run once
                    set -l place (contains -i -- -- $tokens[3..]); or return 1
                    math $place + 2
                case flock
                    set -l file_is_missing yes
                    set -l options_go_on yes
                    set -l index 3
                    while test $index -le $total
                        switch $tokens[$index]
                            case --
                                set options_go_on no
                                set index (math $index + 1)
                                break
                            case -w -E -c --wait --timeout --conflict-exit-code --command --start --length --fd
                                test $tokens[$index] = --fd; and set file_is_missing no
                                set index (math $index + 1)
                                # The cursor is in the value.
                                test $index -le $total; or return 1
                            case '--fd=*'
                                set file_is_missing no
                            case '-*'
                            case '*'
                                set options_go_on no
                                break
                        end
                        set index (math $index + 1)
                    end
                    if test $file_is_missing = yes
                        test $index -le $total; or return 1
                        set index (math $index + 1)
                    else if test $options_go_on = yes
                        string match -q -- '-*' (commandline -ct); and return 1
                    end
                    math $index - 1
                case '*'
                    return 1
            end
        end

        # Completes the command as if it stood alone.
        function __lockctl_complete_command
            set -l before (__lockctl_words_before_command); or return
            set -l tokens (__lockctl_tokens -pc)
            set -l words $tokens[(math $before + 1)..]
            # A line for a shell is no command with words.
            if test $tokens[2] = flock; and set -q words[1]
                string match -q -- '-*' $words[1]; and return
            end
            # Later versions leave the quotes where they are.
            if set -q words[1]; and test (string split -m 1 -f 1 -- . "$FISH_VERSION") -le 3
                set words (string escape -- $words)
            end
            complete -C (string join ' ' -- $words (commandline -ct))
        end

        complete -c lockctl -n '__lockctl_words_before_command >/dev/null' -fa '(__lockctl_complete_command)'
        complete -c lockctl -n '__lockctl_should_offer_completions_for_positional "lockctl help" -eq 1' -fa 'COMMANDS'
        """#
}
